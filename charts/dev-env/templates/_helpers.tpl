{{/* Name of the environment: the release's, so that app.kubernetes.io/instance of its pod is the release. */}}
{{- define "dev-env.name" -}}
{{- if gt (len .Release.Name) 52 }}{{ fail (printf "the release %q is the name of the environment, which has at most 52 characters; choose a shorter one" .Release.Name) }}{{ end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}{{ fail (printf "the release %q is the name of the environment: a letter first, then lower case letters, digits and '-'; choose another one" .Release.Name) }}{{ end }}
{{- .Release.Name }}
{{- end }}

{{- define "dev-env.labels" -}}
app.kubernetes.io/name: dev-env
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Image reference, or nothing. */}}
{{- define "dev-env.image" -}}
{{- with .Values.image }}
{{- if .repository -}}
{{ .repository }}{{ with .digest }}@{{ . }}{{ else }}{{ with .tag }}:{{ . }}{{ end }}{{ end }}
{{- else if or .tag .digest -}}
{{ fail "image.tag and image.digest need image.repository" }}
{{- end }}
{{- end }}
{{- end }}

{{/* A quantity of Kubernetes as a number, exact enough to compare memory. */}}
{{- define "dev-env.number" -}}
{{- /* A large number of a values file would be written with an exponent. */}}
{{- $text := ternary (int64 . | toString) (toString .) (kindIs "float64" .) }}
{{- $number := regexFind "^[0-9.]+" $text }}
{{- $factor := get (dict "m" 0.001 "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0) (trimPrefix $number $text) }}
{{- mulf (float64 $number) $factor }}
{{- end }}

{{/* The flavor asked for; above the threshold that for much memory. */}}
{{- define "dev-env.flavor" -}}
{{- if .Values.flavor -}}
{{ .Values.flavor }}
{{- else if gt (include "dev-env.number" (.Values.resources.requests.memory | default "0") | float64) (include "dev-env.number" .Values.highMemory.threshold | float64) -}}
{{ .Values.highMemory.flavor }}
{{- end }}
{{- end }}

{{/* How ssh is exposed, or nothing. */}}
{{- define "dev-env.expose" -}}
{{- .Values.ssh.expose | default (ternary "LoadBalancer" "" (ne .Values.dns.domain "")) }}
{{- end }}
