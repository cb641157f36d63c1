module stepgate/e2e/app

go 1.24.0

require (
	github.com/inngest/inngestgo v0.15.1
)
