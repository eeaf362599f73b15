module conformance

go 1.26

require sigs.k8s.io/yaml v1.2.0

require gopkg.in/yaml.v2 v2.4.0 // indirect
