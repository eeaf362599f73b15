// Package lines reads and writes the JSON lines that the conformance tools hand to each other.
package lines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// A Request is the part of a line that describes an admission request.
// A line may hold more; see [With].
type Request struct {
	ID          string          `json:"id"`
	Operation   string          `json:"operation"`
	Namespace   string          `json:"namespace"`
	Subresource string          `json:"subresource"`
	User        User            `json:"user"`
	Object      json.RawMessage `json:"object"`
	OldObject   json.RawMessage `json:"oldObject"`

	// Error is set where an earlier tool found that the request never reaches admission.
	Error string `json:"error,omitempty"`
	// APIErrors are the complaints of API validation about the object.
	APIErrors []string `json:"api_errors,omitempty"`
}

// A User is who sends a request.
type User struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

// Parse reads a request.
// The operation defaults to CREATE, the namespace to the object's and then to "default";
// a null oldObject is no object. A request with an error has nothing but that and its id.
func Parse(line []byte) (*Request, error) {
	request := &Request{}
	if err := json.Unmarshal(line, request); err != nil {
		return nil, err
	}
	if request.Error != "" {
		return request, nil
	}
	if request.Operation == "" {
		request.Operation = "CREATE"
	}
	if bytes.Equal(request.OldObject, []byte("null")) {
		request.OldObject = nil
	}
	if request.Namespace == "" {
		object := struct {
			Metadata struct {
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}{}
		if err := json.Unmarshal(request.Object, &object); err != nil {
			return nil, err
		}
		request.Namespace = object.Metadata.Namespace
	}
	if request.Namespace == "" {
		request.Namespace = "default"
	}
	return request, nil
}

// With returns the line with some of its keys replaced or added.
func With(line []byte, values map[string]any) (map[string]json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &object); err != nil {
		return nil, err
	}
	for key, value := range values {
		raw, err := Marshal(value)
		if err != nil {
			return nil, err
		}
		object[key] = raw
	}
	return object, nil
}

// Marshal is json.Marshal without the escapes for HTML.
func Marshal(value any) ([]byte, error) {
	buffer := bytes.Buffer{}
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// Read calls with for every line that is not empty.
// An error names the number of its line.
func Read(in io.Reader, with func(line []byte) error) error {
	reader := bufio.NewReaderSize(in, 1<<16)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := with(line); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Each writes the result of work for every line, in the order of the lines.
// As many lines are worked on at a time as there are processors; the first error ends it.
func Each(in io.Reader, out io.Writer, work func(line []byte) (any, error)) error {
	type result struct {
		line []byte
		err  error
	}
	queue := make(chan chan result, runtime.GOMAXPROCS(0))
	running := make(chan struct{}, runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(queue)
		err := Read(in, func(line []byte) error {
			slot := make(chan result, 1)
			select {
			case queue <- slot:
			case <-stop:
				return io.ErrClosedPipe
			}
			running <- struct{}{}
			go func() {
				defer func() { <-running }()
				value, err := work(line)
				if err != nil {
					slot <- result{err: fmt.Errorf("%w, in %.80s", err, line)}
					return
				}
				written, err := Marshal(value)
				slot <- result{written, err}
			}()
			return nil
		})
		if err != nil {
			slot := make(chan result, 1)
			slot <- result{err: err}
			select {
			case queue <- slot:
			case <-stop:
			}
		}
	}()

	writer := bufio.NewWriter(out)
	for slot := range queue {
		result := <-slot
		if result.err != nil {
			return result.err
		}
		if _, err := writer.Write(append(result.line, '\n')); err != nil {
			return err
		}
	}
	return writer.Flush()
}
