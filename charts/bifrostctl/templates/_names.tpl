{{- define "bifrostctl.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "bifrostctl.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bifrostctl.labels" -}}
{{ include "bifrostctl.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "bifrostctl.account" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "bifrostctl.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "bifrostctl.claim" -}}
{{ .Values.state.existingClaim | default (printf "%s-state" (include "bifrostctl.name" .)) }}
{{- end }}

{{/* Whether the state outlives a pod: where gateways share no PostgreSQL, it holds what was spent. */}}
{{- define "bifrostctl.persistent" -}}
{{- if and (not .Values.postgres.secret) (or .Values.state.persistent .Values.state.existingClaim) }}yes{{ end }}
{{- end }}

{{/* What pod and spec must agree on. */}}
{{- define "bifrostctl.overlay" -}}
gateway:
  listen: 0.0.0.0:8080
  admin: unix:/var/lib/bifrost/admin.sock
{{- if .Values.postgres.secret }}
  state:
    directory: /var/lib/bifrost
    postgres: {file: /run/secrets/bifrost-state/postgres}
{{- if .Values.redis.secret }}
    redis: {file: /run/secrets/bifrost-state/redis}
{{- end }}
{{- else }}
  state: /var/lib/bifrost
{{- end }}
  replicas: {{ .Values.replicas }}
  drain: {{ .Values.drainSeconds }}s
{{- if .Values.metrics.enabled }}

telemetry:
  metrics: gateway
{{- end }}
{{- end }}

{{/* Values that cannot work together. */}}
{{- define "bifrostctl.refuse" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.postgres.secret) }}
{{- fail "several gateways share a PostgreSQL: set postgres.secret, or replicas to 1" }}
{{- end }}
{{- if and .Values.redis.secret (not .Values.postgres.secret) }}
{{- fail "redis.secret is for gateways that share a PostgreSQL: set postgres.secret too" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "a ServiceMonitor reads /metrics of the Service: set metrics.enabled" }}
{{- end }}
{{- if not .Values.spec.existingConfigMap }}
{{- range .Values.spec.order }}
{{- if not (hasKey $.Values.spec.files .) }}
{{- fail (printf "spec.order names %s, which is not in spec.files" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
