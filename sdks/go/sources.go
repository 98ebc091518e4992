package tenure

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Where a license comes from while the product runs: an agent beside it, or the vendor's server.
// Fields outside a signature are used only where they make the answer stricter.

const agentAddress = "http://127.0.0.1:8766"

// Grant is tokens, yet to be verified. HeldSince, Floor and TakenBack are unsigned.
type Grant struct {
	License, Lease, Revocations string
	HeldSince                   *int64
	Floor                       int64
	TakenBack                   *Revocation
}

// Source is who is asked: an Agent or a Server.
type Source interface {
	// fetch asks for a grant; held is empty at the start.
	fetch(held string, revision uint64) (Grant, error)
	sendUsage(events []Event) (usageReceipt, error)
	refreshEvery() time.Duration
	// followsContact says whether it holds leases, so that staying out of contact can be judged.
	followsContact() bool
}

type usageReceipt struct {
	Results []struct{ ID, Outcome, Reason, Detail string }
}

// Agent is the agent on this machine, opened with its local secret.
type Agent struct {
	client          *http.Client
	address, secret string
}

// NewAgent is the agent at address; empty for its usual one.
func NewAgent(address, secret string) *Agent {
	if address == "" {
		address = agentAddress
	}
	return &Agent{newClient(true), strings.TrimRight(address, "/"), strings.TrimSpace(secret)}
}

func (a *Agent) fetch(string, uint64) (Grant, error) {
	var answer struct {
		License, Lease, Revocations string
		HeldSince                   interface{} `json:"held_since"`
		Floor                       interface{}
	}
	if err := call(a.client, a.address+"/v1/license", a.secret, "", nil, &answer); err != nil {
		return Grant{}, err
	}
	grant := Grant{License: answer.License, Lease: answer.Lease, Revocations: answer.Revocations}
	grant.HeldSince = readMoment(answer.HeldSince)
	if floor := readMoment(answer.Floor); floor != nil {
		grant.Floor = *floor
	}
	return grant, nil
}

func (a *Agent) sendUsage(events []Event) (receipt usageReceipt, err error) {
	err = call(a.client, a.address+"/v1/usage", a.secret, batchType, events, &receipt)
	return receipt, err
}

// consume checks a quota and records the event, both or neither.
func (a *Agent) consume(quota, quantity string, event Event) (decision Decision, err error) {
	address := a.address + "/v1/quota/" + url.PathEscape(quota) + "/consume"
	body := map[string]interface{}{"quantity": quantity, "event": event}
	err = call(a.client, address, a.secret, "application/json", body, &decision)
	return decision, err
}

func (a *Agent) refreshEvery() time.Duration { return time.Minute }
func (a *Agent) followsContact() bool        { return true }

// Server is the vendor's server. Key is exchanged for a license; APIKey opens the usage API.
type Server struct {
	client  *http.Client
	address string
	key     *LicenseKey
	apiKey  string
}

// NewServer is the server at address; key and apiKey may be left out.
func NewServer(address string, key *LicenseKey, apiKey string) *Server {
	return &Server{newClient(false), strings.TrimRight(address, "/"), key, apiKey}
}

// Activated is what is used of the answer to an activation.
type Activated struct {
	LicenseToken string `json:"license_token"`
	Revocations  string
}

// Activate exchanges the license key for a license. No key pair is shown, so no lease is given.
func (s *Server) Activate() (answer Activated, err error) {
	if s.key == nil {
		return answer, &TransportError{Message: "there is no license key to exchange"}
	}
	name, _ := os.Hostname()
	body := map[string]string{"license_key": s.key.Expose(), "name": shown(name)}
	err = call(s.client, s.address+"/api/v1/activate", "", "application/json", body, &answer)
	return answer, err
}

// Validation is what the vendor says of a license token.
type Validation struct {
	Valid          bool
	Status, Reason string
	Revision       uint64
}

// Validate says whether the vendor still stands by a license token.
func (s *Server) Validate(token string) (answer Validation, err error) {
	body := map[string]string{"token": token}
	err = call(s.client, s.address+"/api/v1/validate", "", "application/json", body, &answer)
	return answer, err
}

func (s *Server) fetch(held string, revision uint64) (Grant, error) {
	if held != "" {
		answer, err := s.Validate(held)
		if err != nil {
			return Grant{}, err
		}
		if answer.Revision <= revision || s.key == nil {
			grant := Grant{License: held}
			if answer.Reason == "revoked" || answer.Reason == "superseded" {
				grant.TakenBack = &Revocation{answer.Reason, time.Now().Unix()}
			}
			return grant, nil
		}
	}
	answer, err := s.Activate()
	return Grant{License: answer.LicenseToken, Revocations: answer.Revocations}, err
}

func (s *Server) sendUsage(events []Event) (receipt usageReceipt, err error) {
	err = call(s.client, s.address+"/api/v1/usage", s.apiKey, batchType, events, &receipt)
	return receipt, err
}

func (s *Server) refreshEvery() time.Duration { return time.Hour }
func (s *Server) followsContact() bool        { return false }

// readMoment reads whole seconds or RFC 3339; nil for anything else.
func readMoment(value interface{}) *int64 {
	switch value := value.(type) {
	case float64:
		seconds := int64(value)
		return &seconds
	case json.Number:
		if seconds, err := value.Int64(); err == nil {
			return &seconds
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
			seconds := at.Unix()
			return &seconds
		}
	}
	return nil
}
