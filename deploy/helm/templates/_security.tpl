{{/* No container of the chart writes to its image, or needs a right of the kernel's. */}}
{{- define "barestream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Each container names its user. */}}
{{- define "barestream.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}
