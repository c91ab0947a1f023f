{{/* The app's variables for the history. */}}
{{- define "barestream.brokerEnv" -}}
{{- if include "barestream.hasValkey" . -}}
- {name: BARESTREAM_BROKER_URL, value: "valkey://{{ include "barestream.fullname" . }}-valkey:6379"}
- {name: BARESTREAM_BROKER_PASSWORD_FILE, value: /run/secrets/barestream/broker-password}
{{- else -}}
{{- if .Values.broker.urlSecretKey -}}
- {name: BARESTREAM_BROKER_URL_FILE, value: /run/secrets/barestream/broker-url}
{{- else -}}
- {name: BARESTREAM_BROKER_URL, value: {{ .Values.broker.url | quote }}}
{{- end }}
{{- if .Values.broker.passwordSecretKey }}
- {name: BARESTREAM_BROKER_PASSWORD_FILE, value: /run/secrets/barestream/broker-password}
{{- end }}
{{- if .Values.broker.sentinelPasswordSecretKey }}
- {name: BARESTREAM_BROKER_SENTINEL_PASSWORD_FILE, value: /run/secrets/barestream/sentinel-password}
{{- end }}
{{- end }}
{{- if .Values.broker.replicas }}
- {name: BARESTREAM_BROKER_REPLICAS, value: {{ .Values.broker.replicas | quote }}}
{{- end }}
{{- end -}}

{{/* The app's secrets, which are files under fixed names. */}}
{{- define "barestream.secretFiles" -}}
- secret:
    name: {{ include "barestream.tokenSecret" . }}
    items:
      - {key: {{ .Values.token.secretKey }}, path: token-key}
      {{- with .Values.token.subscriberSecretKey }}
      - {key: {{ . }}, path: subscriber-token-key}
      {{- end }}
{{- if include "barestream.hasValkey" . }}
- secret:
    name: {{ include "barestream.valkeySecret" . }}
    items:
      - {key: password, path: broker-password}
{{- else if .Values.broker.existingSecret }}
- secret:
    name: {{ .Values.broker.existingSecret }}
    items:
      {{- with .Values.broker.urlSecretKey }}
      - {key: {{ . }}, path: broker-url}
      {{- end }}
      {{- with .Values.broker.passwordSecretKey }}
      - {key: {{ . }}, path: broker-password}
      {{- end }}
      {{- with .Values.broker.sentinelPasswordSecretKey }}
      - {key: {{ . }}, path: sentinel-password}
      {{- end }}
{{- end }}
{{- end -}}
