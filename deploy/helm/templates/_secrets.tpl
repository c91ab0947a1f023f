{{/* The Secret with the key of tokens. */}}
{{- define "barestream.tokenSecret" -}}
{{- default (printf "%s-token" (include "barestream.fullname" .)) .Values.token.existingSecret -}}
{{- end -}}

{{/* The Secret with the password of the chart's own Valkey. */}}
{{- define "barestream.valkeySecret" -}}
{{ include "barestream.fullname" . }}-valkey
{{- end -}}

{{/*
What a Secret of this chart has under a key, in base64. It is random at the first installation, and stays.
Call it with a list of the root, the Secret's name and the key.
*/}}
{{- define "barestream.kept" -}}
{{- $root := index . 0 -}}
{{- $found := lookup "v1" "Secret" $root.Release.Namespace (index . 1) | default dict -}}
{{- $data := get $found "data" | default dict -}}
{{- get $data (index . 2) | default (randAlphaNum 48 | b64enc) -}}
{{- end -}}
