// Command absent has a profile stand for the AppArmor profile that a container lacks.
//
// The constraint accepts a container without a profile, unless it is privileged, where the default of a policy is
// runtime/default and its list has that. The plugin accepts it nowhere. Asked about the pods and the policies that
// this command makes, the plugin decides by the constraint's rule, and everything else is still its own decision:
// each such container gets a profile that nobody uses, and each such policy, and no other, allows that profile.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"conformance/apparmor"
	"conformance/lines"
	"conformance/manifest"
)

const usage = `usage: absent cluster --cluster PATH > cluster.json   the objects of the cluster, with the policies that allow the profile
       absent requests < requests > requests         the requests, with the containers that get the profile
`

// standIn is a profile that neither a policy nor a pod names by itself.
const standIn = "localhost/stands-for-no-profile"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "absent:", err)
		os.Exit(2)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	cluster := flags.String("cluster", "", "file or folder with the objects of the cluster")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "cluster":
		return writeCluster(out, *cluster)
	case "requests":
		return lines.Each(in, out, request)
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

func writeCluster(out io.Writer, path string) error {
	objects, err := manifest.Load([]string{path})
	if err != nil {
		return err
	}
	items := []any{}
	for _, object := range objects {
		if object.Kind() == "PodSecurityPolicy" {
			apparmor.AllowBesideDefault(object.Content, standIn)
		}
		items = append(items, object.Content)
	}
	return json.NewEncoder(out).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// request writes the profile into both pods of an UPDATE, so that it is no change.
func request(line []byte) (any, error) {
	it, err := lines.Parse(line)
	if err != nil || it.Error != "" {
		return json.RawMessage(line), err
	}
	values := map[string]any{}
	for key, raw := range map[string]json.RawMessage{"object": it.Object, "oldObject": it.OldObject} {
		if len(raw) == 0 {
			continue
		}
		pod, err := lines.Decode[map[string]any](raw)
		if err != nil {
			return nil, err
		}
		if apparmor.Write(pod, standIn) {
			values[key] = pod
		}
	}
	return lines.With(line, values)
}
