package tenure

import (
	"io"
	"log"
	"os"
	"strings"
	"time"
)

const pathLenMax = 4096

// Options is what a product says of itself.
type Options struct {
	// Product is its id in its product file.
	Product string
	// Keys is the key set that the vendor publishes, as text. A product ships it inside itself:
	// whoever may replace it may sign licenses.
	Keys string
	// AllowTestKeys is for the golden vectors and for nothing else.
	AllowTestKeys bool
	// Env looks up the environment; os.Getenv when left out.
	Env func(string) string
	// Clock is seconds since 1970; the machine's when left out.
	Clock func() int64
	// Log is told what goes wrong in the background; the standard logger when left out.
	Log func(string)
}

func (o Options) withDefaults() Options {
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().Unix() }
	}
	if o.Log == nil {
		o.Log = func(message string) { log.Print("tenure: " + message) }
	}
	return o
}

// FromEnv starts as the environment says: TENURE_AGENT_SECRET_FILE for an agent, else LICENSE_KEY
// with a token, a .lic file or its path, or a short key for TENURE_SERVER.
func FromEnv(options Options) (*Tenure, error) {
	options = options.withDefaults()
	read := ReadKeys
	if options.AllowTestKeys {
		read = ReadTestKeys
	}
	trust, err := read(options.Product, options.Keys)
	if err != nil {
		return nil, err
	}
	token, source, takesUsage, err := place(options.Env)
	if err != nil {
		return nil, err
	}
	product := &Tenure{
		trust: trust, source: source, clock: options.Clock, log: options.Log,
		stateFile: options.Env("TENURE_STATE_FILE"), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	if takesUsage {
		product.usage = &recorder{send: source.sendUsage, source: origin(options), log: options.Log}
	}
	return product, product.start(token)
}

func origin(options Options) string {
	if origin := options.Env("TENURE_SOURCE"); origin != "" {
		return origin
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return "/" + options.Product + "/" + host
}

// place is the token that is held, and who is asked: an agent where there is one, else the server.
func place(env func(string) string) (token string, source Source, takesUsage bool, err error) {
	if path := env("TENURE_AGENT_SECRET_FILE"); path != "" {
		secret, err := readText(path, pathLenMax)
		return "", NewAgent(env("TENURE_AGENT"), secret), true, err
	}
	text := env("LICENSE_KEY")
	if strings.TrimSpace(text) == "" {
		return "", nil, false, missing()
	}
	if info, err := os.Stat(text); len(text) < pathLenMax && err == nil && info.Mode().IsRegular() {
		if text, err = readText(text, fileLenMax); err != nil {
			return "", nil, false, err
		}
	}
	token, key, err := ReadPresented(text)
	if err != nil {
		return "", nil, false, err
	}
	if address := env("TENURE_SERVER"); address != "" {
		apiKey := env("TENURE_API_KEY")
		return token, NewServer(address, key, apiKey), apiKey != "", nil
	}
	if key != nil {
		return "", nil, false, refuse("license_key_needs_server", "a license key is exchanged for a license: set TENURE_SERVER, or run an agent")
	}
	return token, nil, false, nil
}

func missing() error {
	return refuse("license_missing", "there is no license: set LICENSE_KEY, or run an agent")
}

func readText(path string, lenMax int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", refuse("file_unreadable", "%v", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, lenMax+1))
	if err != nil {
		return "", refuse("file_unreadable", "%v", err)
	}
	return string(text), nil
}
