//! Pods, their metadata and status, as the API server writes them.
//!
//! Kubernetes 1.24, `k8s.io/api/core/v1/types.go` and `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
//! The fields of each type are sorted by name.

use super::container::{
    CONTAINER, EPHEMERAL_CONTAINER, SE_LINUX_OPTIONS, SECCOMP_PROFILE,
    WINDOWS_SECURITY_CONTEXT_OPTIONS,
};
use super::volume::{LOCAL_OBJECT_REFERENCE, VOLUME};
use super::{
    Fields,
    Presence::{Always, IfSet, NonEmpty},
    Shape::{Any, Bool, Int32, Int64, List, Map, Object, Quantity, Text},
};

pub(super) static OBJECT_META: Fields = &[
    ("annotations", NonEmpty, Map(&Text)),
    ("clusterName", NonEmpty, Text),
    ("creationTimestamp", NonEmpty, Text),
    ("deletionGracePeriodSeconds", IfSet, Int64),
    ("deletionTimestamp", IfSet, Text),
    ("finalizers", NonEmpty, List(&Text)),
    ("generateName", NonEmpty, Text),
    ("generation", NonEmpty, Int64),
    ("labels", NonEmpty, Map(&Text)),
    (
        "managedFields",
        NonEmpty,
        List(&Object(MANAGED_FIELDS_ENTRY)),
    ),
    ("name", NonEmpty, Text),
    ("namespace", NonEmpty, Text),
    ("ownerReferences", NonEmpty, List(&Object(OWNER_REFERENCE))),
    ("resourceVersion", NonEmpty, Text),
    ("selfLink", NonEmpty, Text),
    ("uid", NonEmpty, Text),
];

static MANAGED_FIELDS_ENTRY: Fields = &[
    ("apiVersion", NonEmpty, Text),
    ("fieldsType", NonEmpty, Text),
    ("fieldsV1", IfSet, Any),
    ("manager", NonEmpty, Text),
    ("operation", NonEmpty, Text),
    ("subresource", NonEmpty, Text),
    ("time", IfSet, Text),
];

static OWNER_REFERENCE: Fields = &[
    ("apiVersion", Always, Text),
    ("blockOwnerDeletion", IfSet, Bool),
    ("controller", IfSet, Bool),
    ("kind", Always, Text),
    ("name", Always, Text),
    ("uid", Always, Text),
];

pub(super) static POD_SPEC: Fields = &[
    ("activeDeadlineSeconds", IfSet, Int64),
    ("affinity", IfSet, Object(AFFINITY)),
    ("automountServiceAccountToken", IfSet, Bool),
    ("containers", Always, List(&Object(CONTAINER))),
    ("dnsConfig", IfSet, Object(POD_DNS_CONFIG)),
    ("dnsPolicy", NonEmpty, Text),
    ("enableServiceLinks", IfSet, Bool),
    (
        "ephemeralContainers",
        NonEmpty,
        List(&Object(EPHEMERAL_CONTAINER)),
    ),
    ("hostAliases", NonEmpty, List(&Object(HOST_ALIAS))),
    ("hostIPC", NonEmpty, Bool),
    ("hostNetwork", NonEmpty, Bool),
    ("hostPID", NonEmpty, Bool),
    ("hostname", NonEmpty, Text),
    (
        "imagePullSecrets",
        NonEmpty,
        List(&Object(LOCAL_OBJECT_REFERENCE)),
    ),
    ("initContainers", NonEmpty, List(&Object(CONTAINER))),
    ("nodeName", NonEmpty, Text),
    ("nodeSelector", NonEmpty, Map(&Text)),
    ("os", IfSet, Object(POD_OS)),
    ("overhead", NonEmpty, Map(&Quantity)),
    ("preemptionPolicy", IfSet, Text),
    ("priority", IfSet, Int32),
    ("priorityClassName", NonEmpty, Text),
    (
        "readinessGates",
        NonEmpty,
        List(&Object(POD_READINESS_GATE)),
    ),
    ("restartPolicy", NonEmpty, Text),
    ("runtimeClassName", IfSet, Text),
    ("schedulerName", NonEmpty, Text),
    ("securityContext", IfSet, Object(POD_SECURITY_CONTEXT)),
    ("serviceAccount", NonEmpty, Text),
    ("serviceAccountName", NonEmpty, Text),
    ("setHostnameAsFQDN", IfSet, Bool),
    ("shareProcessNamespace", IfSet, Bool),
    ("subdomain", NonEmpty, Text),
    ("terminationGracePeriodSeconds", IfSet, Int64),
    ("tolerations", NonEmpty, List(&Object(TOLERATION))),
    (
        "topologySpreadConstraints",
        NonEmpty,
        List(&Object(TOPOLOGY_SPREAD_CONSTRAINT)),
    ),
    ("volumes", NonEmpty, List(&Object(VOLUME))),
];

static AFFINITY: Fields = &[
    ("nodeAffinity", IfSet, Object(NODE_AFFINITY)),
    ("podAffinity", IfSet, Object(POD_AFFINITY)),
    ("podAntiAffinity", IfSet, Object(POD_ANTI_AFFINITY)),
];

static NODE_AFFINITY: Fields = &[
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        NonEmpty,
        List(&Object(PREFERRED_SCHEDULING_TERM)),
    ),
    (
        "requiredDuringSchedulingIgnoredDuringExecution",
        IfSet,
        Object(NODE_SELECTOR),
    ),
];

static PREFERRED_SCHEDULING_TERM: Fields = &[
    ("preference", Always, Object(NODE_SELECTOR_TERM)),
    ("weight", Always, Int32),
];

static NODE_SELECTOR_TERM: Fields = &[
    (
        "matchExpressions",
        NonEmpty,
        List(&Object(NODE_SELECTOR_REQUIREMENT)),
    ),
    (
        "matchFields",
        NonEmpty,
        List(&Object(NODE_SELECTOR_REQUIREMENT)),
    ),
];

static NODE_SELECTOR_REQUIREMENT: Fields = &[
    ("key", Always, Text),
    ("operator", Always, Text),
    ("values", NonEmpty, List(&Text)),
];

static NODE_SELECTOR: Fields = &[(
    "nodeSelectorTerms",
    Always,
    List(&Object(NODE_SELECTOR_TERM)),
)];

static POD_AFFINITY: Fields = &[
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        NonEmpty,
        List(&Object(WEIGHTED_POD_AFFINITY_TERM)),
    ),
    (
        "requiredDuringSchedulingIgnoredDuringExecution",
        NonEmpty,
        List(&Object(POD_AFFINITY_TERM)),
    ),
];

static WEIGHTED_POD_AFFINITY_TERM: Fields = &[
    ("podAffinityTerm", Always, Object(POD_AFFINITY_TERM)),
    ("weight", Always, Int32),
];

static POD_AFFINITY_TERM: Fields = &[
    ("labelSelector", IfSet, Object(LABEL_SELECTOR)),
    ("namespaceSelector", IfSet, Object(LABEL_SELECTOR)),
    ("namespaces", NonEmpty, List(&Text)),
    ("topologyKey", Always, Text),
];

pub(super) static LABEL_SELECTOR: Fields = &[
    (
        "matchExpressions",
        NonEmpty,
        List(&Object(LABEL_SELECTOR_REQUIREMENT)),
    ),
    ("matchLabels", NonEmpty, Map(&Text)),
];

static LABEL_SELECTOR_REQUIREMENT: Fields = &[
    ("key", Always, Text),
    ("operator", Always, Text),
    ("values", NonEmpty, List(&Text)),
];

static POD_ANTI_AFFINITY: Fields = &[
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        NonEmpty,
        List(&Object(WEIGHTED_POD_AFFINITY_TERM)),
    ),
    (
        "requiredDuringSchedulingIgnoredDuringExecution",
        NonEmpty,
        List(&Object(POD_AFFINITY_TERM)),
    ),
];

static POD_DNS_CONFIG: Fields = &[
    ("nameservers", NonEmpty, List(&Text)),
    ("options", NonEmpty, List(&Object(POD_DNS_CONFIG_OPTION))),
    ("searches", NonEmpty, List(&Text)),
];

static POD_DNS_CONFIG_OPTION: Fields = &[("name", NonEmpty, Text), ("value", IfSet, Text)];

static HOST_ALIAS: Fields = &[("hostnames", NonEmpty, List(&Text)), ("ip", NonEmpty, Text)];

static POD_OS: Fields = &[("name", Always, Text)];

static POD_READINESS_GATE: Fields = &[("conditionType", Always, Text)];

static POD_SECURITY_CONTEXT: Fields = &[
    ("fsGroup", IfSet, Int64),
    ("fsGroupChangePolicy", IfSet, Text),
    ("runAsGroup", IfSet, Int64),
    ("runAsNonRoot", IfSet, Bool),
    ("runAsUser", IfSet, Int64),
    ("seLinuxOptions", IfSet, Object(SE_LINUX_OPTIONS)),
    ("seccompProfile", IfSet, Object(SECCOMP_PROFILE)),
    ("supplementalGroups", NonEmpty, List(&Int64)),
    ("sysctls", NonEmpty, List(&Object(SYSCTL))),
    (
        "windowsOptions",
        IfSet,
        Object(WINDOWS_SECURITY_CONTEXT_OPTIONS),
    ),
];

static SYSCTL: Fields = &[("name", Always, Text), ("value", Always, Text)];

static TOLERATION: Fields = &[
    ("effect", NonEmpty, Text),
    ("key", NonEmpty, Text),
    ("operator", NonEmpty, Text),
    ("tolerationSeconds", IfSet, Int64),
    ("value", NonEmpty, Text),
];

static TOPOLOGY_SPREAD_CONSTRAINT: Fields = &[
    ("labelSelector", IfSet, Object(LABEL_SELECTOR)),
    ("maxSkew", Always, Int32),
    ("minDomains", IfSet, Int32),
    ("topologyKey", Always, Text),
    ("whenUnsatisfiable", Always, Text),
];

pub(super) static POD_STATUS: Fields = &[
    ("conditions", NonEmpty, List(&Object(POD_CONDITION))),
    (
        "containerStatuses",
        NonEmpty,
        List(&Object(CONTAINER_STATUS)),
    ),
    (
        "ephemeralContainerStatuses",
        NonEmpty,
        List(&Object(CONTAINER_STATUS)),
    ),
    ("hostIP", NonEmpty, Text),
    (
        "initContainerStatuses",
        NonEmpty,
        List(&Object(CONTAINER_STATUS)),
    ),
    ("message", NonEmpty, Text),
    ("nominatedNodeName", NonEmpty, Text),
    ("phase", NonEmpty, Text),
    ("podIP", NonEmpty, Text),
    ("podIPs", NonEmpty, List(&Object(POD_IP))),
    ("qosClass", NonEmpty, Text),
    ("reason", NonEmpty, Text),
    ("startTime", IfSet, Text),
];

static POD_CONDITION: Fields = &[
    ("lastProbeTime", NonEmpty, Text),
    ("lastTransitionTime", NonEmpty, Text),
    ("message", NonEmpty, Text),
    ("reason", NonEmpty, Text),
    ("status", Always, Text),
    ("type", Always, Text),
];

static CONTAINER_STATUS: Fields = &[
    ("containerID", NonEmpty, Text),
    ("image", Always, Text),
    ("imageID", Always, Text),
    ("lastState", Always, Object(CONTAINER_STATE)),
    ("name", Always, Text),
    ("ready", Always, Bool),
    ("restartCount", Always, Int32),
    ("started", IfSet, Bool),
    ("state", Always, Object(CONTAINER_STATE)),
];

static CONTAINER_STATE: Fields = &[
    ("running", IfSet, Object(CONTAINER_STATE_RUNNING)),
    ("terminated", IfSet, Object(CONTAINER_STATE_TERMINATED)),
    ("waiting", IfSet, Object(CONTAINER_STATE_WAITING)),
];

static CONTAINER_STATE_RUNNING: Fields = &[("startedAt", NonEmpty, Text)];

static CONTAINER_STATE_TERMINATED: Fields = &[
    ("containerID", NonEmpty, Text),
    ("exitCode", Always, Int32),
    ("finishedAt", NonEmpty, Text),
    ("message", NonEmpty, Text),
    ("reason", NonEmpty, Text),
    ("signal", NonEmpty, Int32),
    ("startedAt", NonEmpty, Text),
];

static CONTAINER_STATE_WAITING: Fields = &[("message", NonEmpty, Text), ("reason", NonEmpty, Text)];

static POD_IP: Fields = &[("ip", NonEmpty, Text)];
