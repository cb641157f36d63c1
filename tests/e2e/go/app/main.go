// The functions under test with the Go SDK: the counterpart of ../../apps/functions.mjs.
//
// Every event carries `witness` (where a step says that it runs, see ../../lib/witness.mjs) and `key` (which test it belongs to).
// Everything else the SDK finds in its environment by itself, but for the base URL of checkpoints: for these, it knows only an
// option.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
)

type data = map[string]any
type input = inngestgo.Input[data]
type handler func(ctx context.Context, in input) (any, error)

// rangeError has a name of its own; the SDK does not pass it on.
type rangeError struct{ text string }

func (e rangeError) Error() string { return e.text }

// say tells the witness that a step runs, and returns how often it has done so.
func say(ctx context.Context, in input, name string) (int, error) {
	target := fmt.Sprint(in.Event.Data["witness"], "/", url.PathEscape(fmt.Sprint(in.Event.Data["key"], "/", name)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct{ Count int }
	err = json.NewDecoder(res.Body).Decode(&answer)
	return answer.Count, err
}

// saying is a step that does nothing but say its name.
func saying(ctx context.Context, in input, name string) (int, error) {
	return step.Run(ctx, name, func(ctx context.Context) (int, error) { return say(ctx, in, name) })
}

func reportPipeline(ctx context.Context, in input) (any, error) {
	days, err := step.Run(ctx, "fetch-data", func(ctx context.Context) ([]int, error) {
		_, err := say(ctx, in, "fetch-data")
		return []int{12, 9, 21}, err
	})
	if err != nil {
		return nil, err
	}
	report, err := step.Run(ctx, "generate-report", func(ctx context.Context) (data, error) {
		times, err := say(ctx, in, "generate-report")
		if err != nil {
			return nil, err
		}
		if in.Event.Data["failOnce"] == true && times == 1 {
			return nil, errors.New("render timeout")
		}
		sum := 0
		for _, day := range days {
			sum += day
		}
		return data{"key": fmt.Sprintf("reports/%v.pdf", in.Event.Data["reportId"]), "sum": sum}, nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := saying(ctx, in, "notify"); err != nil {
		return nil, err
	}
	return data{"reportId": in.Event.Data["reportId"], "sum": report["sum"]}, nil
}

// member is a step of a group.
func member(in input, name string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		return step.Run(ctx, name, func(ctx context.Context) (string, error) {
			_, err := say(ctx, in, name)
			return name, err
		})
	}
}

func values(results group.Results) []any {
	list := []any{}
	for _, result := range results {
		list = append(list, result.Value)
	}
	return list
}

func parallel(ctx context.Context, in input) (any, error) {
	results := group.Parallel(ctx, member(in, "a"), member(in, "b"), member(in, "c"))
	if err := results.AnyError(); err != nil {
		return nil, err
	}
	last, err := member(in, "d")(ctx)
	return append(values(results), last), err
}

func groups(ctx context.Context, in input) (any, error) {
	first := group.Parallel(ctx, member(in, "a"), member(in, "b"))
	if err := first.AnyError(); err != nil {
		return nil, err
	}
	second := group.Parallel(ctx, member(in, "c"), member(in, "d"))
	return append(values(first), values(second)...), second.AnyError()
}

func chains(ctx context.Context, in input) (any, error) {
	chain := func(names ...string) func(context.Context) (any, error) {
		return func(ctx context.Context) (any, error) {
			joined := ""
			for _, name := range names {
				value, err := member(in, name)(ctx)
				if err != nil {
					return nil, err
				}
				joined += value.(string)
			}
			return joined, nil
		}
	}
	results := group.Parallel(ctx, chain("a1", "a2"), chain("b1", "b2"))
	return values(results), results.AnyError()
}

func mixed(ctx context.Context, in input) (any, error) {
	results := group.Parallel(ctx, member(in, "a"), func(ctx context.Context) (any, error) {
		step.Sleep(ctx, "nap", time.Second)
		return nil, nil
	})
	if err := results.AnyError(); err != nil {
		return nil, err
	}
	return member(in, "d")(ctx)
}

func parallelFails(ctx context.Context, in input) (any, error) {
	results := group.Parallel(ctx, member(in, "good"), func(ctx context.Context) (any, error) {
		return step.Run(ctx, "bad", func(ctx context.Context) (any, error) {
			if _, err := say(ctx, in, "bad"); err != nil {
				return nil, err
			}
			return nil, errors.New("bad member")
		})
	})
	problem := ""
	if err := results.AnyError(); err != nil {
		problem = err.Error()
	}
	after, err := saying(ctx, in, "after")
	return data{"problem": problem, "after": after}, err
}

func attempts(ctx context.Context, in input) (any, error) {
	outer := in.InputCtx.Attempt
	failing := func(name string, limit int) (int, error) {
		return step.Run(ctx, name, func(ctx context.Context) (int, error) {
			times, err := say(ctx, in, fmt.Sprintf("%s/%d", name, outer))
			if err == nil && outer < limit {
				err = fmt.Errorf("%s, attempt %d", name, outer)
			}
			return times, err
		})
	}
	if _, err := failing("first", 3); err != nil {
		return nil, err
	}
	if _, err := failing("second", 1); err != nil {
		return nil, err
	}
	return "done", nil
}

func caught(ctx context.Context, in input) (any, error) {
	problems := []string{}
	for _, c := range []struct {
		id  string
		err error
	}{{"plain", errors.New("plain failure")}, {"final", inngestgo.NoRetryError(errors.New("final failure"))}} {
		// A value beside the error has to survive, too.
		value, err := step.Run(ctx, c.id, func(ctx context.Context) (string, error) {
			if _, err := say(ctx, in, c.id); err != nil {
				return "", err
			}
			return "kept by " + c.id, c.err
		})
		if err == nil {
			return nil, errors.New(c.id + " did not fail")
		}
		problems = append(problems, err.Error(), value)
	}
	after, err := saying(ctx, in, "after")
	return data{"problems": problems, "after": after}, err
}

func uncaught(ctx context.Context, in input) (any, error) {
	if _, err := saying(ctx, in, "good"); err != nil {
		return nil, err
	}
	_, err := step.Run(ctx, "bad", func(ctx context.Context) (any, error) {
		if _, err := say(ctx, in, "bad"); err != nil {
			return nil, err
		}
		return nil, rangeError{"out of range"}
	})
	return "not reached", err
}

func functionFails(ctx context.Context, in input) (any, error) {
	if _, err := say(ctx, in, fmt.Sprintf("body/%d", in.InputCtx.Attempt)); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("attempt %d", in.InputCtx.Attempt)
}

func functionFinal(ctx context.Context, in input) (any, error) {
	if _, err := say(ctx, in, "body"); err != nil {
		return nil, err
	}
	return nil, inngestgo.NoRetryError(errors.New("never again"))
}

func retryAfter(ctx context.Context, in input) (any, error) {
	return step.Run(ctx, "wait", func(ctx context.Context) (string, error) {
		times, err := say(ctx, in, "wait")
		if err == nil && times == 1 {
			err = inngestgo.RetryAtError(errors.New("later"), time.Now().Add(4*time.Second))
		}
		return "late", err
	})
}

func sleep(ctx context.Context, in input) (any, error) {
	stamp := func(name string) int64 {
		at, _ := step.Run(ctx, name, func(ctx context.Context) (int64, error) {
			_, err := say(ctx, in, name)
			return time.Now().UnixMilli(), err
		})
		return at
	}
	before := stamp("before")
	step.Sleep(ctx, "nap", time.Second)
	between := stamp("between")
	step.SleepUntil(ctx, "until", time.UnixMilli(between).Add(2*time.Second))
	after := stamp("after")
	return data{"nap": between - before, "until": after - between}, nil
}

func loop(ctx context.Context, in input) (any, error) {
	seen := []data{}
	for i := range 3 {
		step.Sleep(ctx, "wait", time.Second)
		times, err := step.Run(ctx, "plop", func(ctx context.Context) (int, error) { return say(ctx, in, fmt.Sprintf("plop/%d", i)) })
		if err != nil {
			return nil, err
		}
		seen = append(seen, data{"i": i, "times": times})
	}
	return seen, nil
}

// large keeps `count` texts of `size` bytes and counts them in a step of its own.
func large(ctx context.Context, in input) (any, error) {
	count, size := int(in.Event.Data["count"].(float64)), int(in.Event.Data["size"].(float64))
	texts := []string{}
	for i := range count {
		text, err := step.Run(ctx, fmt.Sprintf("text-%d", i), func(ctx context.Context) (string, error) {
			_, err := say(ctx, in, fmt.Sprintf("text-%d", i))
			return strings.Repeat(fmt.Sprint(i%10), size), err
		})
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return step.Run(ctx, "count", func(ctx context.Context) (int, error) {
		_, err := say(ctx, in, "count")
		return len(strings.Join(texts, "")), err
	})
}

func parent(ctx context.Context, in input) (any, error) {
	events := []inngestgo.Event{}
	for _, n := range []int{1, 2} {
		events = append(events, inngestgo.Event{
			Name: "e2e/child", Data: data{"witness": in.Event.Data["witness"], "key": in.Event.Data["key"], "n": n},
		})
	}
	return step.SendMany(ctx, "tell", events)
}

func child(ctx context.Context, in input) (any, error) {
	return saying(ctx, in, fmt.Sprintf("child/%v", in.Event.Data["n"]))
}

func wait(ctx context.Context, in input) (any, error) {
	timeout := 20 * time.Second
	if ms, ok := in.Event.Data["timeout"].(float64); ok {
		timeout = time.Duration(ms) * time.Millisecond
	}
	condition := "event.data.key == async.data.key"
	got, err := step.WaitForEvent[struct{ Data data }](ctx, "answer", step.WaitForEventOpts{Event: "e2e/answer", If: &condition, Timeout: timeout})
	if errors.Is(err, step.ErrEventNotReceived) {
		return nil, nil
	}
	return got.Data["value"], err
}

func callee(ctx context.Context, in input) (any, error) {
	if in.Event.Data["fail"] == true {
		return nil, errors.New("no such value")
	}
	_, err := step.Run(ctx, "work", func(ctx context.Context) (int, error) { return say(ctx, in, "callee") })
	return data{"value": in.Event.Data["value"], "event": in.Event.Name}, err
}

func caller(ctx context.Context, in input) (any, error) {
	function, ok := in.Event.Data["function"].(string)
	if !ok {
		function = "callee"
	}
	got, err := step.Invoke[any](ctx, "call", step.InvokeOpts{FunctionId: "apps-" + function, Data: in.Event.Data})
	if err != nil {
		return data{"problem": err.Error()}, nil
	}
	return got, nil
}

func signalled(ctx context.Context, in input) (any, error) {
	name := fmt.Sprint("signal-", in.Event.Data["key"])
	got, err := step.WaitForSignal[any](ctx, "wait", step.WaitForSignalOpts{Signal: name, Timeout: 20 * time.Second})
	return got, err
}

func ping(context.Context, input) (any, error) { return "pong", nil }

func echo(ctx context.Context, in input) (any, error) {
	return step.Run(ctx, "echo", func(context.Context) (any, error) { return in.Event.Data["value"], nil })
}

// streamed is served under a path of its own with streaming answers: 201 at once, then spaces, then an envelope.
func streamed(ctx context.Context, in input) (any, error) {
	first, err := saying(ctx, in, "first")
	if err != nil {
		return nil, err
	}
	// Longer than the five seconds between two heartbeats.
	slow, err := step.Run(ctx, "slow", func(ctx context.Context) (string, error) {
		_, err := say(ctx, in, "slow")
		time.Sleep(5500 * time.Millisecond)
		return "zażółć", err
	})
	if err == nil && in.InputCtx.Attempt == 0 {
		err = errors.New("once more")
	}
	return data{"first": first, "slow": slow, "attempt": in.InputCtx.Attempt}, err
}

// checkpointing is opt-in; what the app is told decides for all its functions.
func checkpointing() *checkpoint.Config {
	switch os.Getenv("CHECKPOINTING") {
	case "on":
		return checkpoint.ConfigSafe
	case "buffered":
		return &checkpoint.Config{BatchSteps: 2}
	}
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func newClient(id string, streaming bool) inngestgo.Client {
	base := os.Getenv("INNGEST_BASE_URL")
	return must(inngestgo.NewClient(inngestgo.ClientOpts{
		AppID:        id,
		APIBaseURL:   &base,
		Checkpoint:   checkpointing(),
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, nil)),
		UseStreaming: streaming,
	}))
}

func create(client inngestgo.Client, id, event string, retries *int, body handler) {
	opts := inngestgo.FunctionOpts{ID: id, Retries: retries}
	must(inngestgo.CreateFunction(client, opts, inngestgo.EventTrigger(event, nil),
		func(ctx context.Context, in inngestgo.Input[data]) (any, error) { return body(ctx, in) }))
}

func main() {
	retries := inngestgo.IntPtr
	client := newClient("apps", false)
	create(client, "report-pipeline", "report/requested", retries(3), reportPipeline)
	create(client, "parallel", "e2e/parallel", retries(3), parallel)
	create(client, "groups", "e2e/groups", retries(3), groups)
	create(client, "chains", "e2e/chains", retries(3), chains)
	create(client, "mixed", "e2e/mixed", retries(3), mixed)
	create(client, "parallel-fails", "e2e/parallel-fails", retries(1), parallelFails)
	create(client, "attempts", "e2e/attempts", retries(3), attempts)
	create(client, "caught", "e2e/caught", retries(1), caught)
	create(client, "uncaught", "e2e/uncaught", retries(1), uncaught)
	create(client, "function-fails", "e2e/function-fails", retries(2), functionFails)
	create(client, "function-final", "e2e/function-final", retries(3), functionFinal)
	create(client, "retry-after", "e2e/retry-after", retries(1), retryAfter)
	create(client, "sleep", "e2e/sleep", nil, sleep)
	create(client, "loop", "e2e/loop", nil, loop)
	create(client, "large", "e2e/large", nil, large)
	create(client, "parent", "e2e/parent", nil, parent)
	create(client, "child", "e2e/child", nil, child)
	create(client, "wait", "e2e/wait", nil, wait)
	create(client, "callee", "e2e/callee", retries(0), callee)
	create(client, "caller", "e2e/caller", nil, caller)
	create(client, "signalled", "e2e/signalled", nil, signalled)
	create(client, "ping", "e2e/ping", nil, ping)
	create(client, "echo", "e2e/echo", nil, echo)

	streaming := newClient("apps-streamed", true)
	create(streaming, "streamed", "e2e/streamed", retries(2), streamed)

	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	mux.Handle("/api/streamed", streaming.Serve())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	listener := must(net.Listen("tcp", "127.0.0.1:"+port))
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	fmt.Fprintln(os.Stderr, http.Serve(listener, mux))
}
