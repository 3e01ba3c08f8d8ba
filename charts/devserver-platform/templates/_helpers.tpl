{{/* Names are fixed, not derived from the release: CRDs, ClusterRoles and the Lease exist once per cluster anyway. */}}
{{- define "devserver.operator" -}}devserver-operator{{- end }}

{{/* Labels of every object. */}}
{{- define "devserver.labels" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What selects operator pods. Never changes: a Deployment's selector is immutable. */}}
{{- define "devserver.selector" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The gateway, where it is installed. NetworkPolicies of environments let this component in. */}}
{{- define "devserver.gateway" -}}devserver-gateway{{- end }}

{{- define "devserver.gatewayLabels" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "devserver.gatewaySelector" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{/* Reference of an image: (dict "root" $ "name" "tools"). A digest wins over the tag. */}}
{{- define "devserver.image" -}}
{{- $images := .root.Values.images -}}
{{- $image := index $images .name -}}
{{- if $image.digest -}}
{{ printf "%s/%s@%s" $images.registry $image.name $image.digest }}
{{- else -}}
{{ printf "%s/%s:%s" $images.registry $image.name ($images.tag | default .root.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* The operator's configuration file: what images and the release say, overlaid by operator.config. */}}
{{- define "devserver.config" -}}
{{- $fromImages := dict
  "defaultImage" (include "devserver.image" (dict "root" . "name" "base"))
  "toolsImage" (include "devserver.image" (dict "root" . "name" "tools"))
  "networkPolicy" (dict "platformNamespace" .Release.Namespace)
  "defaultExpose" (ternary "ClusterIP" "NodePort" .Values.gateway.enabled) -}}
{{- if and .Values.gateway.enabled .Values.gateway.host }}
{{- $_ := set $fromImages "gateway" (dict "host" .Values.gateway.host "port" (int (.Values.gateway.externalPort | default .Values.gateway.service.port))) }}
{{- end }}
{{- $config := deepCopy .Values.operator.config -}}
{{- if not $config.defaultExpose }}{{ $_ := unset $config "defaultExpose" }}{{ end -}}
{{- toYaml (mergeOverwrite $fromImages $config) -}}
{{- end }}
