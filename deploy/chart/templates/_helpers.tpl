{{- define "stateward.selector" -}}
app.kubernetes.io/name: stateward
{{- end }}

{{- define "stateward.labels" -}}
{{ include "stateward.selector" . }}
app.kubernetes.io/part-of: stateward
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "stateward.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* A file that it has in common with the kustomization, object by object, in this release's namespace. */ -}}
{{- define "stateward.objects" -}}
{{- $root := .root }}
{{- $objects := list }}
{{- range $document := splitList "---\n" ($root.Files.Get .file) }}
{{- $object := fromYaml $document }}
{{- if $object }}
{{- $_ := set $object.metadata "labels" (merge (include "stateward.labels" $root | fromYaml) $object.metadata.labels) }}
{{- if hasKey $object.metadata "namespace" }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $subject := $object.subjects }}
{{- $_ := set $subject "namespace" $root.Release.Namespace }}
{{- end }}
{{- $objects = append $objects $object }}
{{- end }}
{{- end }}
{{- dict "objects" $objects | toYaml }}
{{- end }}
