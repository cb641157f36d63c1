module github.com/inngest/inngest

go 1.24.0
