//go:build tools

// Names the version of Prometheus that the tests push to; go.sum holds it to its hash.
package tools

import _ "github.com/prometheus/prometheus/cmd/prometheus"
