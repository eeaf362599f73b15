package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"conformance/lines"

	"github.com/go-logr/logr"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	mutationtypes "github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A cost is what the work for one request takes, in microseconds.
type cost struct {
	Count int `json:"count"`
	// CPU is that of the whole process, garbage collection included, on average: what to trust on a busy machine.
	CPU float64 `json:"cpu_us"`
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
	// Allocations and Bytes of them do not depend on what else runs.
	Allocations uint64 `json:"allocations"`
	Bytes       uint64 `json:"bytes"`
}

// A benchmark is what a set of manifests costs.
type benchmark struct {
	Loaded string `json:"loaded"`
	// LoadMS and LoadCPUMS are what it takes to compile the templates and to apply everything, in milliseconds.
	LoadMS    float64 `json:"load_ms"`
	LoadCPUMS float64 `json:"load_cpu_ms"`
	Requests  int     `json:"requests"`
	Denied    int     `json:"denied"`
	Review    cost    `json:"review"`
	Mutation  *cost   `json:"mutation,omitempty"`
}

// bench answers with the cost of the requests of standard input, one at a time, over and over, for so long each.
func (e *engine) bench(loading stopwatch, duration time.Duration) error {
	result := benchmark{Loaded: e.loaded.String()}
	result.LoadMS, result.LoadCPUMS = milliseconds(time.Since(loading.start)), milliseconds(cpu()-loading.cpu)
	runtime.GOMAXPROCS(1)

	var pods []*lines.Request
	var asked []*target.AugmentedReview
	err := lines.Read(os.Stdin, func(line []byte) error {
		request, err := lines.Parse(line)
		if err != nil || request.Error != "" || request.Subresource != "" {
			return err
		}
		review, err := e.augmentedReview(request)
		if err != nil {
			return err
		}
		answer, err := e.validateLine(line)
		if err != nil {
			return err
		}
		if !answer.(*lines.GatekeeperAnswer).Allowed {
			result.Denied++
		}
		pods, asked = append(pods, request), append(asked, review)
		return nil
	})
	if err != nil {
		return err
	}
	if result.Requests = len(asked); result.Requests == 0 {
		return fmt.Errorf("there are no requests")
	}

	result.Review, err = measure(len(asked), duration, func(i int) error {
		_, err := e.client.Review(context.Background(), asked[i],
			reviews.EnforcementPoint(util.WebhookEnforcementPoint),
			util.NamespaceReviewOpt(asked[i].Namespace, logr.Discard()))
		return err
	})
	if err == nil && e.loaded.mutators > 0 {
		var mutation cost
		mutation, err = measure(len(pods), duration, func(i int) error {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(pods[i].Object); err != nil {
				return err
			}
			_, err := e.mutation.Mutate(context.Background(), &mutationtypes.Mutable{
				Object:    object,
				Namespace: e.namespace(pods[i].Namespace),
				Username:  pods[i].User.Username,
				Source:    mutationtypes.SourceTypeOriginal,
				Operation: admissionv1.Operation(pods[i].Operation),
			})
			return err
		})
		result.Mutation = &mutation
	}
	if err != nil {
		return err
	}
	raw, err := lines.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", raw)
	return nil
}

// measure does the work for each of n requests in turn, again and again, after a warm-up of a tenth of the time.
func measure(n int, duration time.Duration, work func(i int) error) (cost, error) {
	i := 0
	for start := time.Now(); time.Since(start) < duration/10; i++ {
		if err := work(i % n); err != nil {
			return cost{}, err
		}
	}
	runtime.GC()
	var took []time.Duration
	var memory, memoryAfter runtime.MemStats
	runtime.ReadMemStats(&memory)
	before := cpu()
	for start := time.Now(); time.Since(start) < duration || len(took) < n; i++ {
		begin := time.Now()
		if err := work(i % n); err != nil {
			return cost{}, err
		}
		took = append(took, time.Since(begin))
	}
	used := cpu() - before
	runtime.ReadMemStats(&memoryAfter)
	slices.Sort(took)
	at := func(share float64) float64 { return microseconds(took[int(share*float64(len(took)-1))]) }
	return cost{
		Count: len(took),
		CPU:   microseconds(used) / float64(len(took)),
		P50:   at(0.5),
		P99:   at(0.99),

		Allocations: (memoryAfter.Mallocs - memory.Mallocs) / uint64(len(took)),
		Bytes:       (memoryAfter.TotalAlloc - memory.TotalAlloc) / uint64(len(took)),
	}, nil
}

// A stopwatch is a moment: by the clock, and by the processor time of the process.
type stopwatch struct {
	start time.Time
	cpu   time.Duration
}

func startStopwatch() stopwatch { return stopwatch{time.Now(), cpu()} }

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	usage := syscall.Rusage{}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func milliseconds(it time.Duration) float64 { return float64(it.Microseconds()) / 1000 }

func microseconds(it time.Duration) float64 { return float64(it.Nanoseconds()) / 1000 }
