// Package syscode stands in for the package of the same name that the Go SDK imports; see ../enums.
package syscode

const (
	CodeUnknown               = "unknown"
	CodeHTTPMissingHeader     = "http_missing_header"
	CodeSigVerificationFailed = "sig_verification_failed"
)

// Error is an error with a word for programs.
type Error struct {
	Code    string
	Message string
}

func (e Error) Error() string { return e.Code + ": " + e.Message }
