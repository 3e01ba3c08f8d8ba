{{/* Who is not judged at all. Administrators: who may do "administrate" with DevServers everywhere, see administrators.yaml. */}}
{{- define "devserver.policies.exempt" -}}
- name: not-the-operator
  expression: request.userInfo.username != 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "devserver.operator" . }}'
- name: not-kubernetes-itself
  expression: >-
    !request.userInfo.username.startsWith('system:serviceaccount:kube-system:')
    && !('system:nodes' in request.userInfo.groups)
    && !(request.userInfo.username in ['system:apiserver', 'system:kube-controller-manager', 'system:kube-scheduler', 'system:cloud-controller-manager'])
- name: not-an-administrator
  expression: "!authorizer.group('devserver.io').resource('devservers').check('administrate').allowed()"
{{- end }}

{{/* Metadata of a policy and of what belongs to it: (dict "root" $ "name" "owner"). */}}
{{- define "devserver.policies.metadata" -}}
name: devserver-{{ .name }}
labels:
  {{- include "devserver.labels" .root | nindent 2 }}
{{- end }}

{{/* Images an administrator offers; in the allow-list whatever it says. */}}
{{- define "devserver.policies.ownImage" -}}
{{ .Values.operator.config.defaultImage | default (include "devserver.image" (dict "root" . "name" "base")) }}
{{- end }}
