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

{{/* The console, where it is installed. NetworkPolicies of environments let this component in. */}}
{{- define "devserver.console" -}}devserver-console{{- end }}

{{- define "devserver.consoleLabels" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: console
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "devserver.consoleSelector" -}}
app.kubernetes.io/name: devserver-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: console
{{- end }}

{{/* The console's configuration file. */}}
{{- define "devserver.consoleConfig" -}}
{{- $console := .Values.console -}}
{{- $config := dict
  "consoleUrl" (required "console.url is needed: https://console.example.com" $console.url)
  "editorDomain" (required "console.editorDomain is needed: editors.example.com" $console.editorDomain)
  "sessionKeyFile" "/etc/devserver-console/session/session-key"
  "sessionLifetime" $console.sessionLifetime
  "usernamePrefix" $console.usernamePrefix
  "adminGroups" $console.adminGroups
  "trustedProxies" $console.trustedProxies
  "allowSharedPorts" .Values.operator.config.allowSharedPorts
  "podCIDRs" ((.Values.operator.config.networkPolicy | default dict).podCIDRs | default list) -}}
{{- if not (kindIs "invalid" $console.allowedGroups) }}{{ $_ := set $config "allowedGroups" $console.allowedGroups }}{{ end -}}
{{- if $console.oidc.issuer }}
{{- $oidc := pick $console.oidc "issuer" "clientId" "scopes" "usernameClaim" "allowUnverifiedEmail" "groupsClaim" -}}
{{- $_ := set $oidc "clientSecretFile" "/etc/devserver-console/client/client-secret" -}}
{{- if $console.oidc.caConfigMap }}{{ $_ := set $oidc "caFile" "/etc/devserver-console/ca/ca.crt" }}{{ end -}}
{{- $_ := set $config "oidc" $oidc -}}
{{- end }}
{{- if $console.devctl.clientId }}
{{- $devctl := dict "clientId" $console.devctl.clientId "server" (required "console.devctl.server is needed: https://api.example.com:6443" $console.devctl.server) -}}
{{- if not $console.devctl.publicCertificate }}{{ $_ := set $devctl "certificateAuthorityFile" "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" }}{{ end -}}
{{- $_ := set $config "devctl" $devctl -}}
{{- end }}
{{- if $console.forwardAuth.userHeader }}
{{- $forward := dict "userHeader" $console.forwardAuth.userHeader -}}
{{- if $console.forwardAuth.groupsHeader }}{{ $_ := set $forward "groupsHeader" $console.forwardAuth.groupsHeader }}{{ end -}}
{{- $_ := set $config "forwardAuth" $forward -}}
{{- end }}
{{- if .Values.usage.enabled }}
{{- $_ := set $config "usage" (dict "url" (printf "http://devserver-usage.%s.svc:8081" .Release.Namespace) "tokenFile" "/etc/devserver-console/usage/token") -}}
{{- end }}
{{- if $console.tlsSecret }}
{{- $_ := set $config "tls" (dict "certificateFile" "/etc/devserver-console/tls/tls.crt" "privateKeyFile" "/etc/devserver-console/tls/tls.key") -}}
{{- end }}
{{- toYaml $config -}}
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
  "editor" (dict "image" (include "devserver.image" (dict "root" . "name" "editor")))
  "docker" (dict "image" (include "devserver.image" (dict "root" . "name" "docker")))
  "networkPolicy" (dict "platformNamespace" .Release.Namespace)
  "defaultExpose" (ternary "ClusterIP" "NodePort" .Values.gateway.enabled) -}}
{{- if and .Values.gateway.enabled .Values.gateway.host }}
{{- $address := dict "host" .Values.gateway.host "port" (int (.Values.gateway.externalPort | default .Values.gateway.service.port)) }}
{{- if .Values.gateway.direct }}{{ $_ := set $address "direct" true }}{{ end }}
{{- $_ := set $fromImages "gateway" $address }}
{{- else if and .Values.gateway.enabled .Values.gateway.direct }}
{{- fail "gateway.direct needs gateway.host, the name by which people reach the gateway" }}
{{- end }}
{{- if .Values.usage.enabled }}{{ $_ := set $fromImages "usage" (include "devserver.usageConfig" . | fromYaml) }}{{ end }}
{{- $config := deepCopy .Values.operator.config -}}
{{- if not $config.defaultExpose }}{{ $_ := unset $config "defaultExpose" }}{{ end -}}
{{- toYaml (mergeOverwrite $fromImages $config) -}}
{{- end }}

{{/* The ledger, in the operator's configuration. */}}
{{- define "devserver.usageConfig" -}}
{{- $usage := .Values.usage -}}
{{- $config := dict "currency" (required "usage.currency is needed: three capital letters, such as EUR" $usage.currency) "prices" $usage.prices -}}
{{- if $usage.postgres.urlSecret }}{{ $_ := set $config "databaseUrlFile" "/etc/devserver-usage/database/url" }}{{ else }}{{ $_ := set $config "databaseFile" "/var/lib/devserver-usage/ledger.db" }}{{ end -}}
{{- if $usage.openCostConfigMap }}{{ $_ := set $config "openCostPricesFile" "/etc/devserver-usage/opencost/default.json" }}{{ end -}}
{{- with $usage.weeklyReport }}
{{- $report := deepCopy . -}}
{{- if ($report.mail).passwordSecret }}
{{- $_ := set $report.mail "passwordFile" "/etc/devserver-usage/mail/password" -}}
{{- $_ := unset $report.mail "passwordSecret" -}}
{{- end }}
{{- $_ := set $config "weeklyReport" $report -}}
{{- end }}
{{- toYaml $config -}}
{{- end }}

{{- define "devserver.usageMounts" -}}
{{- $usage := .Values.usage -}}
{{- if $usage.enabled -}}
{{- if $usage.postgres.urlSecret -}}
- {name: usage-database, mountPath: /etc/devserver-usage/database, readOnly: true}
{{- else -}}
- {name: usage-ledger, mountPath: /var/lib/devserver-usage}
# Where SQLite sorts what a report adds up.
- {name: usage-tmp, mountPath: /tmp}
{{- end }}
{{- if $usage.openCostConfigMap }}
- {name: usage-opencost, mountPath: /etc/devserver-usage/opencost, readOnly: true}
{{- end }}
{{- if (($usage.weeklyReport).mail).passwordSecret }}
- {name: usage-mail, mountPath: /etc/devserver-usage/mail, readOnly: true}
{{- end }}
{{- end -}}
{{- end }}

{{- define "devserver.usageVolumes" -}}
{{- $usage := .Values.usage -}}
{{- if $usage.enabled -}}
{{- if $usage.postgres.urlSecret -}}
- name: usage-database
  secret: {secretName: {{ $usage.postgres.urlSecret }}, defaultMode: 0440, items: [{key: url, path: url}]}
{{- else -}}
- name: usage-ledger
  persistentVolumeClaim: {claimName: devserver-usage}
- name: usage-tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
{{- with $usage.openCostConfigMap }}
- name: usage-opencost
  configMap: {name: {{ . }}, items: [{key: default.json, path: default.json}]}
{{- end }}
{{- with (($usage.weeklyReport).mail).passwordSecret }}
- name: usage-mail
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: password, path: password}]}
{{- end }}
{{- end -}}
{{- end }}
