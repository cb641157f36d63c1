// Package publicerr stands in for the package of the same name that the Go SDK imports; see ../enums.
package publicerr

import (
	"encoding/json"
	"errors"
	"net/http"
)

// Error is an error with what a caller may know of it.
type Error struct {
	Err     error
	Message string
	Status  int
}

func (e Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

func (e Error) Unwrap() error { return e.Err }

// WriteHTTP answers a request with an error.
func WriteHTTP(w http.ResponseWriter, err error) error {
	var known Error
	if !errors.As(err, &known) {
		known = Error{Err: err, Status: http.StatusInternalServerError}
	}
	if known.Status == 0 {
		known.Status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(known.Status)
	return json.NewEncoder(w).Encode(map[string]any{"error": known.Error(), "status": known.Status})
}
