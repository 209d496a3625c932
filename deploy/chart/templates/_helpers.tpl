{{- /*
Gives every value that is not set its default. Helm does so itself, except with --reuse-values: then the values are those of
the release as it was, which knows nothing of what this chart added since. Every template begins with this.
*/ -}}
{{- define "stateward.defaults" -}}
{{- $whole := list "resources" "podSecurityContext" "securityContext" }}
{{- range $key, $default := .Files.Get "files/values.yaml" | fromYaml }}
{{- if not (hasKey $.Values $key) }}
{{- $_ := set $.Values $key $default }}
{{- else if and (kindIs "map" $default) (not (has $key $whole)) }}
{{- $value := get $.Values $key }}
{{- range $inner, $of := $default }}
{{- if not (hasKey $value $inner) }}
{{- $_ := set $value $inner $of }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stateward.fullname" -}}
{{ .Values.fullnameOverride | default "stateward" }}
{{- end }}

{{- define "stateward.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "stateward.fullname" .) }}
{{- end }}

{{- define "stateward.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "stateward" }}
{{- end }}

{{- define "stateward.labels" -}}
{{ include "stateward.selector" . }}
app.kubernetes.io/part-of: stateward
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "stateward.podLabels" -}}
{{ include "stateward.selector" . }}
app.kubernetes.io/part-of: stateward
{{- with merge (dict) .Values.podLabels .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "stateward.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* A file that it has in common with the kustomization, object by object, with this release's names and namespace. */ -}}
{{- define "stateward.objects" -}}
{{- $root := .root }}
{{- $objects := list }}
{{- $text := $root.Files.Get .file }}
{{- $text = regexReplaceAll "([ {]|secret)([nN])ame: stateward\\b" $text (printf "${1}${2}ame: %s" (include "stateward.fullname" $root)) }}
{{- $text = $text | replace "app.kubernetes.io/name: stateward" (include "stateward.selector" $root) }}
{{- range $document := splitList "---\n" $text }}
{{- $object := fromYaml $document }}
{{- if $object }}
{{- $_ := set $object.metadata "labels" (merge (include "stateward.labels" $root | fromYaml) $object.metadata.labels) }}
{{- if hasKey $object.metadata "namespace" }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $subject := $object.subjects }}
{{- $_ := set $subject "namespace" $root.Release.Namespace }}
{{- $_ := set $subject "name" (include "stateward.serviceAccount" $root) }}
{{- end }}
{{- $objects = append $objects $object }}
{{- end }}
{{- end }}
{{- dict "objects" $objects | toYaml }}
{{- end }}
