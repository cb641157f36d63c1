// Package enums stands in for the package of the same name that the Go SDK imports.
//
// The SDK's module requires the module of the server it was made for, of which the HTTP side of the SDK needs only names: those of
// opcodes and a few option values. Ours is written from what the SDK does with them and from the published protocol, so that no
// source of that server is ever fetched (see ../../../README.md).
package enums

import "slices"

// Opcode is the word that stands in an op's "op".
type Opcode string

const (
	OpcodeStepRun         Opcode = "StepRun"
	OpcodeStepError       Opcode = "StepError"
	OpcodeStepFailed      Opcode = "StepFailed"
	OpcodeStepPlanned     Opcode = "StepPlanned"
	OpcodeSleep           Opcode = "Sleep"
	OpcodeWaitForEvent    Opcode = "WaitForEvent"
	OpcodeInvokeFunction  Opcode = "InvokeFunction"
	OpcodeWaitForSignal   Opcode = "WaitForSignal"
	OpcodeAIGateway       Opcode = "AIGateway"
	OpcodeGateway         Opcode = "Gateway"
	OpcodeRunComplete     Opcode = "RunComplete"
	OpcodeSyncRunComplete Opcode = "SyncRunComplete"
)

var async = []Opcode{
	OpcodeStepError, OpcodeSleep, OpcodeWaitForEvent, OpcodeInvokeFunction, OpcodeWaitForSignal, OpcodeAIGateway, OpcodeGateway,
}

// OpcodeIsAsync says whether the server must act before the function can go on.
func OpcodeIsAsync(op Opcode) bool { return slices.Contains(async, op) }

// ParallelMode says when the server looks for new steps after one of a group has ended.
type ParallelMode string

const (
	ParallelModeNone ParallelMode = ""
	ParallelModeWait ParallelMode = "Wait"
	ParallelModeRace ParallelMode = "Race"
)

func (m ParallelMode) String() string { return string(m) }

// OptKey is the name of an op's option.
type OptKey string

const OptKeyParallelMode OptKey = "parallelMode"

func (k OptKey) String() string { return string(k) }

type ConcurrencyScope string

type SingletonMode string
