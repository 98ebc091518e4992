package tenure

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A vendor of the test's own: a fresh key, licenses signed with it, and an agent or a server.

var (
	testKey, _  = rsa.GenerateKey(rand.Reader, 2048)
	testModulus = toBase64url(testKey.N.Bytes())
	testSet     = fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","kid":"%s","n":"%s","e":"AQAB"}]}`, thumbprint(testModulus), testModulus)
)

const (
	testDay   = 86_400
	licenseID = "lic_00000000000000000000000000000001"
)

type object map[string]interface{}

func signed(t *testing.T, kind string, claims object) string {
	t.Helper()
	header, _ := json.Marshal(object{"alg": "RS256", "typ": "tenure-" + kind + "+jwt", "kid": thumbprint(testModulus)})
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	message := toBase64url(header) + "." + toBase64url(payload)
	digest := sha256.Sum256([]byte(message))
	signature, err := rsa.SignPKCS1v15(rand.Reader, testKey, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return message + "." + toBase64url(signature)
}

// newLicense is the metered license of the vectors, in force for a year from yesterday.
func newLicense(t *testing.T, changes object) string {
	t.Helper()
	data, err := os.ReadFile("../../crates/license/vectors/license.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Licenses []struct{ Claims object } }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	claims := all.Licenses[1].Claims
	yesterday := time.Now().Unix() - testDay
	claims["iat"], claims["exp"] = yesterday, yesterday+366*testDay
	for name, value := range changes {
		claims[name] = value
	}
	return signed(t, "license", claims)
}

func newLease(t *testing.T, expires int64, license string) string {
	return signed(t, "lease", object{
		"iss": "urn:tenure:product:incidentfox", "aud": "urn:tenure:lease", "sub": "ten_01", "product": "incidentfox",
		"iat": expires - 5*testDay, "exp": expires, "jti": "lea_01", "license": license, "revision": 3,
		"instance": "ins_00000000000000000000000000000007", "key": "k", "epoch": 0, "heartbeat_seconds": 300,
	})
}

func newRevocations(t *testing.T, epoch int, withdrawn ...object) string {
	return signed(t, "revocations", object{
		"iss": "urn:tenure:product:incidentfox", "aud": "urn:tenure:revocations", "product": "incidentfox",
		"iat": time.Now().Unix(), "epoch": epoch, "withdrawn": append([]object{}, withdrawn...),
	})
}

type asked struct {
	path, bearer string
	body         []byte
}

// other is an HTTP server that answers from a table and remembers what it was asked.
type other struct {
	*httptest.Server
	mutex   sync.Mutex
	answers map[string]object // "status" is no part of the answer
	asked   []asked
}

func newOther(t *testing.T, path string, answer object) *other {
	o := &other{answers: map[string]object{path: answer}}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.mutex.Lock()
		defer o.mutex.Unlock()
		o.asked = append(o.asked, asked{r.URL.Path, r.Header.Get("Authorization"), body})
		answer, known := o.answers[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *other) answer(path string, answer object) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if answer == nil {
		delete(o.answers, path)
		return
	}
	o.answers[path] = answer
}

func (o *other) last() asked {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.asked[len(o.asked)-1]
}

func (o *other) agent(t *testing.T) map[string]string {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"TENURE_AGENT": o.URL, "TENURE_AGENT_SECRET_FILE": path}
}
