{{/* Labels of every object. */}}
{{- define "devservers.labels" -}}
app.kubernetes.io/name: devservers
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Whether each user has a namespace. */}}
{{- define "devservers.perUser" -}}
{{- if eq .Values.namespaces "PerUser" }}true{{ end }}
{{- end }}

{{/* Namespace of a user's environment: (dict "root" $ "user" $user). */}}
{{- define "devservers.namespace" -}}
{{- if include "devservers.perUser" .root }}dev-{{ .user.username }}{{ else }}{{ .root.Release.Namespace }}{{ end }}
{{- end }}

{{/* Name of a user's environment (document 000). */}}
{{- define "devservers.name" -}}
{{- $name := .name | default (printf "devserver-%s" .username) }}
{{- if gt (len $name) 52 }}{{ fail (printf "users: the environment of %q would be called %q, which has more than 52 characters; give it a shorter `name`" .username $name) }}{{ end }}
{{- $name }}
{{- end }}

{{/* Name of the ConfigMap with a user's keys (document 000). */}}
{{- define "devservers.keys" -}}{{ .username }}-public-key{{- end }}

{{/* Image reference, or nothing: image of the values. */}}
{{- define "devservers.image" -}}
{{- if .repository -}}
{{ .repository }}{{ with .digest }}@{{ . }}{{ else }}{{ with .tag }}:{{ . }}{{ end }}{{ end }}
{{- else if or .tag .digest -}}
{{ fail "image.tag and image.digest need image.repository" }}
{{- end }}
{{- end }}

{{/* What would overwrite something of another entry. */}}
{{- define "devservers.check" -}}
{{- $seen := dict }}
{{- range .Values.users }}
{{- if hasKey $seen .username }}{{ fail (printf "users: %q is there twice; write one entry" .username) }}{{ end }}
{{- $_ := set $seen .username true }}
{{- $name := include "devservers.name" . }}
{{- $place := printf "%s/%s" (include "devservers.namespace" (dict "root" $ "user" .)) $name }}
{{- if hasKey $seen $place }}{{ fail (printf "users: two environments would be called %s; give one of them another `name`" $place) }}{{ end }}
{{- $_ := set $seen $place true }}
{{- end }}
{{- end }}
