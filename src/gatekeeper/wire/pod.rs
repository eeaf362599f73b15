//! Pods, their metadata and status, as the API server writes them.
//!
//! Kubernetes 1.24 to 1.34, `k8s.io/api/core/v1/types.go` and `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
//! The fields of each type are sorted by name.

use super::container::{
    APP_ARMOR_PROFILE, CONTAINER, EPHEMERAL_CONTAINER, RESOURCE_REQUIREMENTS, SE_LINUX_OPTIONS,
    SECCOMP_PROFILE, WINDOWS_SECURITY_CONTEXT_OPTIONS,
};
use super::volume::{LOCAL_OBJECT_REFERENCE, VOLUME};
use super::{
    Fields,
    Presence::{Always, IfSet, NonEmpty, Since},
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
    ("hostUsers", Since(25, &IfSet), Bool),
    ("hostname", NonEmpty, Text),
    ("hostnameOverride", Since(34, &IfSet), Text),
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
    (
        "resourceClaims",
        Since(26, &NonEmpty),
        List(&Object(POD_RESOURCE_CLAIM)),
    ),
    (
        "resources",
        Since(32, &IfSet),
        Object(RESOURCE_REQUIREMENTS),
    ),
    ("restartPolicy", NonEmpty, Text),
    ("runtimeClassName", IfSet, Text),
    ("schedulerName", NonEmpty, Text),
    (
        "schedulingGates",
        Since(26, &NonEmpty),
        List(&Object(POD_SCHEDULING_GATE)),
    ),
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
    ("matchLabelKeys", Since(29, &NonEmpty), List(&Text)),
    ("mismatchLabelKeys", Since(29, &NonEmpty), List(&Text)),
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

static POD_SCHEDULING_GATE: Fields = &[("name", Always, Text)];

/// Up to 1.30 the two names stood in `source`, which is left out here: clusters do not have it unless an alpha feature is on.
static POD_RESOURCE_CLAIM: Fields = &[
    ("name", Always, Text),
    ("resourceClaimName", Since(31, &IfSet), Text),
    ("resourceClaimTemplateName", Since(31, &IfSet), Text),
];

static POD_SECURITY_CONTEXT: Fields = &[
    (
        "appArmorProfile",
        Since(30, &IfSet),
        Object(APP_ARMOR_PROFILE),
    ),
    ("fsGroup", IfSet, Int64),
    ("fsGroupChangePolicy", IfSet, Text),
    ("runAsGroup", IfSet, Int64),
    ("runAsNonRoot", IfSet, Bool),
    ("runAsUser", IfSet, Int64),
    ("seLinuxChangePolicy", Since(32, &IfSet), Text),
    ("seLinuxOptions", IfSet, Object(SE_LINUX_OPTIONS)),
    ("seccompProfile", IfSet, Object(SECCOMP_PROFILE)),
    ("supplementalGroups", NonEmpty, List(&Int64)),
    ("supplementalGroupsPolicy", Since(31, &IfSet), Text),
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
    ("matchLabelKeys", Since(25, &NonEmpty), List(&Text)),
    ("maxSkew", Always, Int32),
    ("minDomains", IfSet, Int32),
    ("nodeAffinityPolicy", Since(25, &IfSet), Text),
    ("nodeTaintsPolicy", Since(25, &IfSet), Text),
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
    (
        "extendedResourceClaimStatus",
        Since(34, &IfSet),
        Object(POD_EXTENDED_RESOURCE_CLAIM_STATUS),
    ),
    ("hostIP", NonEmpty, Text),
    ("hostIPs", Since(28, &NonEmpty), List(&Object(HOST_IP))),
    (
        "initContainerStatuses",
        NonEmpty,
        List(&Object(CONTAINER_STATUS)),
    ),
    ("message", NonEmpty, Text),
    ("nominatedNodeName", NonEmpty, Text),
    ("observedGeneration", Since(33, &NonEmpty), Int64),
    ("phase", NonEmpty, Text),
    ("podIP", NonEmpty, Text),
    ("podIPs", NonEmpty, List(&Object(POD_IP))),
    ("qosClass", NonEmpty, Text),
    ("reason", NonEmpty, Text),
    ("resize", Since(27, &NonEmpty), Text),
    (
        "resourceClaimStatuses",
        Since(28, &NonEmpty),
        List(&Object(POD_RESOURCE_CLAIM_STATUS)),
    ),
    ("startTime", IfSet, Text),
];

static POD_CONDITION: Fields = &[
    ("lastProbeTime", NonEmpty, Text),
    ("lastTransitionTime", NonEmpty, Text),
    ("message", NonEmpty, Text),
    ("observedGeneration", Since(33, &NonEmpty), Int64),
    ("reason", NonEmpty, Text),
    ("status", Always, Text),
    ("type", Always, Text),
];

static CONTAINER_STATUS: Fields = &[
    ("allocatedResources", Since(27, &NonEmpty), Map(&Quantity)),
    (
        "allocatedResourcesStatus",
        Since(31, &NonEmpty),
        List(&Object(RESOURCE_STATUS)),
    ),
    ("containerID", NonEmpty, Text),
    ("image", Always, Text),
    ("imageID", Always, Text),
    ("lastState", Always, Object(CONTAINER_STATE)),
    ("name", Always, Text),
    ("ready", Always, Bool),
    (
        "resources",
        Since(27, &IfSet),
        Object(RESOURCE_REQUIREMENTS),
    ),
    ("restartCount", Always, Int32),
    ("started", IfSet, Bool),
    ("state", Always, Object(CONTAINER_STATE)),
    ("stopSignal", Since(33, &IfSet), Text),
    ("user", Since(31, &IfSet), Object(CONTAINER_USER)),
    (
        "volumeMounts",
        Since(30, &NonEmpty),
        List(&Object(VOLUME_MOUNT_STATUS)),
    ),
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

static HOST_IP: Fields = &[("ip", NonEmpty, Text)];

static POD_RESOURCE_CLAIM_STATUS: Fields =
    &[("name", Always, Text), ("resourceClaimName", IfSet, Text)];

static POD_EXTENDED_RESOURCE_CLAIM_STATUS: Fields = &[
    (
        "requestMappings",
        Always,
        List(&Object(CONTAINER_EXTENDED_RESOURCE_REQUEST)),
    ),
    ("resourceClaimName", Always, Text),
];

static CONTAINER_EXTENDED_RESOURCE_REQUEST: Fields = &[
    ("containerName", Always, Text),
    ("requestName", Always, Text),
    ("resourceName", Always, Text),
];

static VOLUME_MOUNT_STATUS: Fields = &[
    ("mountPath", Always, Text),
    ("name", Always, Text),
    ("readOnly", NonEmpty, Bool),
    ("recursiveReadOnly", IfSet, Text),
];

static CONTAINER_USER: Fields = &[("linux", IfSet, Object(LINUX_CONTAINER_USER))];

static LINUX_CONTAINER_USER: Fields = &[
    ("gid", Always, Int64),
    ("supplementalGroups", NonEmpty, List(&Int64)),
    ("uid", Always, Int64),
];

static RESOURCE_STATUS: Fields = &[
    ("name", Always, Text),
    ("resources", NonEmpty, List(&Object(RESOURCE_HEALTH))),
];

static RESOURCE_HEALTH: Fields = &[("health", NonEmpty, Text), ("resourceID", Always, Text)];
