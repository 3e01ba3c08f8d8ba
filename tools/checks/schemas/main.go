// schemas FOLDER FILE…: writes a JSON schema for kubeconform for every version of every CustomResourceDefinition in the files. Strict, as
// `kubectl apply --validate=strict` is: a field that a definition does not have is an error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

type definition struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Schema struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("say a folder and files with definitions")
	}
	folder := arguments[0]
	for _, file := range arguments[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, document := range bytes.Split(text, []byte("\n---")) {
			if err := write(folder, document); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

func write(folder string, document []byte) error {
	var found definition
	if err := yaml.Unmarshal(document, &found); err != nil {
		return err
	}
	if found.Kind != "CustomResourceDefinition" {
		return nil
	}
	for _, version := range found.Spec.Versions {
		schema := version.Schema.OpenAPIV3Schema
		if properties, ok := schema["properties"].(map[string]any); ok {
			// What every object has, and no definition says.
			properties["metadata"] = map[string]any{"type": "object"}
			properties["apiVersion"] = map[string]any{"type": "string"}
			properties["kind"] = map[string]any{"type": "string"}
		}
		close(schema)
		text, err := json.Marshal(schema)
		if err != nil {
			return err
		}
		// As kubeconform fills in {{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.
		name := strings.ToLower(found.Spec.Names.Kind) + "-" + found.Spec.Group + "-" + version.Name + ".json"
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// close forbids what is not named, wherever something is; and says in JSON schema what definitions say in a way of their own.
func close(schema any) {
	switch node := schema.(type) {
	case map[string]any:
		_, named := node["properties"]
		_, more := node["additionalProperties"]
		if open, _ := node["x-kubernetes-preserve-unknown-fields"].(bool); named && !more && !open {
			node["additionalProperties"] = false
		}
		if either, _ := node["x-kubernetes-int-or-string"].(bool); either {
			node["type"] = []string{"integer", "string"}
			delete(node, "anyOf")
		}
		for _, child := range node {
			close(child)
		}
	case []any:
		for _, child := range node {
			close(child)
		}
	}
}
