//! Containers, as the API server writes them.
//!
//! Kubernetes 1.24 to 1.34, `k8s.io/api/core/v1/types.go`.
//! The fields of each type are sorted by name.

use super::{
    Fields,
    Presence::{Always, IfSet, NonEmpty, Nullable, Since},
    Shape::{Bool, Int32, Int64, IntOrText, List, Map, Object, Quantity, Text},
};

pub(super) static CONTAINER: Fields = &[
    ("args", NonEmpty, List(&Text)),
    ("command", NonEmpty, List(&Text)),
    ("env", NonEmpty, List(&Object(ENV_VAR))),
    ("envFrom", NonEmpty, List(&Object(ENV_FROM_SOURCE))),
    ("image", NonEmpty, Text),
    ("imagePullPolicy", NonEmpty, Text),
    ("lifecycle", IfSet, Object(LIFECYCLE)),
    ("livenessProbe", IfSet, Object(PROBE)),
    ("name", Always, Text),
    ("ports", NonEmpty, List(&Object(CONTAINER_PORT))),
    ("readinessProbe", IfSet, Object(PROBE)),
    (
        "resizePolicy",
        Since(27, &NonEmpty),
        List(&Object(CONTAINER_RESIZE_POLICY)),
    ),
    ("resources", Always, Object(RESOURCE_REQUIREMENTS)),
    ("restartPolicy", Since(28, &IfSet), Text),
    (
        "restartPolicyRules",
        Since(34, &NonEmpty),
        List(&Object(CONTAINER_RESTART_RULE)),
    ),
    ("securityContext", IfSet, Object(SECURITY_CONTEXT)),
    ("startupProbe", IfSet, Object(PROBE)),
    ("stdin", NonEmpty, Bool),
    ("stdinOnce", NonEmpty, Bool),
    ("terminationMessagePath", NonEmpty, Text),
    ("terminationMessagePolicy", NonEmpty, Text),
    ("tty", NonEmpty, Bool),
    ("volumeDevices", NonEmpty, List(&Object(VOLUME_DEVICE))),
    ("volumeMounts", NonEmpty, List(&Object(VOLUME_MOUNT))),
    ("workingDir", NonEmpty, Text),
];

static ENV_VAR: Fields = &[
    ("name", Always, Text),
    ("value", NonEmpty, Text),
    ("valueFrom", IfSet, Object(ENV_VAR_SOURCE)),
];

static ENV_VAR_SOURCE: Fields = &[
    ("configMapKeyRef", IfSet, Object(CONFIG_MAP_KEY_SELECTOR)),
    ("fieldRef", IfSet, Object(OBJECT_FIELD_SELECTOR)),
    ("fileKeyRef", Since(34, &IfSet), Object(FILE_KEY_SELECTOR)),
    ("resourceFieldRef", IfSet, Object(RESOURCE_FIELD_SELECTOR)),
    ("secretKeyRef", IfSet, Object(SECRET_KEY_SELECTOR)),
];

static CONFIG_MAP_KEY_SELECTOR: Fields = &[
    ("key", Always, Text),
    ("name", NonEmpty, Text),
    ("optional", IfSet, Bool),
];

static FILE_KEY_SELECTOR: Fields = &[
    ("key", Always, Text),
    ("optional", IfSet, Bool),
    ("path", Always, Text),
    ("volumeName", Always, Text),
];

pub(super) static OBJECT_FIELD_SELECTOR: Fields =
    &[("apiVersion", NonEmpty, Text), ("fieldPath", Always, Text)];

pub(super) static RESOURCE_FIELD_SELECTOR: Fields = &[
    ("containerName", NonEmpty, Text),
    ("divisor", Always, Quantity),
    ("resource", Always, Text),
];

static SECRET_KEY_SELECTOR: Fields = &[
    ("key", Always, Text),
    ("name", NonEmpty, Text),
    ("optional", IfSet, Bool),
];

static ENV_FROM_SOURCE: Fields = &[
    ("configMapRef", IfSet, Object(CONFIG_MAP_ENV_SOURCE)),
    ("prefix", NonEmpty, Text),
    ("secretRef", IfSet, Object(SECRET_ENV_SOURCE)),
];

static CONFIG_MAP_ENV_SOURCE: Fields = &[("name", NonEmpty, Text), ("optional", IfSet, Bool)];

static SECRET_ENV_SOURCE: Fields = &[("name", NonEmpty, Text), ("optional", IfSet, Bool)];

static LIFECYCLE: Fields = &[
    ("postStart", IfSet, Object(LIFECYCLE_HANDLER)),
    ("preStop", IfSet, Object(LIFECYCLE_HANDLER)),
    ("stopSignal", Since(33, &IfSet), Text),
];

static LIFECYCLE_HANDLER: Fields = &[
    ("exec", IfSet, Object(EXEC_ACTION)),
    ("httpGet", IfSet, Object(HTTP_GET_ACTION)),
    ("sleep", Since(29, &IfSet), Object(SLEEP_ACTION)),
    ("tcpSocket", IfSet, Object(TCP_SOCKET_ACTION)),
];

static EXEC_ACTION: Fields = &[("command", NonEmpty, List(&Text))];

static HTTP_GET_ACTION: Fields = &[
    ("host", NonEmpty, Text),
    ("httpHeaders", NonEmpty, List(&Object(HTTP_HEADER))),
    ("path", NonEmpty, Text),
    ("port", Always, IntOrText),
    ("scheme", NonEmpty, Text),
];

static SLEEP_ACTION: Fields = &[("seconds", Always, Int64)];

static HTTP_HEADER: Fields = &[("name", Always, Text), ("value", Always, Text)];

static TCP_SOCKET_ACTION: Fields = &[("host", NonEmpty, Text), ("port", Always, IntOrText)];

static PROBE: Fields = &[
    ("exec", IfSet, Object(EXEC_ACTION)),
    ("failureThreshold", NonEmpty, Int32),
    ("grpc", IfSet, Object(GRPC_ACTION)),
    ("httpGet", IfSet, Object(HTTP_GET_ACTION)),
    ("initialDelaySeconds", NonEmpty, Int32),
    ("periodSeconds", NonEmpty, Int32),
    ("successThreshold", NonEmpty, Int32),
    ("tcpSocket", IfSet, Object(TCP_SOCKET_ACTION)),
    ("terminationGracePeriodSeconds", IfSet, Int64),
    ("timeoutSeconds", NonEmpty, Int32),
];

static GRPC_ACTION: Fields = &[("port", Always, Int32), ("service", Nullable, Text)];

static CONTAINER_PORT: Fields = &[
    ("containerPort", Always, Int32),
    ("hostIP", NonEmpty, Text),
    ("hostPort", NonEmpty, Int32),
    ("name", NonEmpty, Text),
    ("protocol", NonEmpty, Text),
];

static CONTAINER_RESIZE_POLICY: Fields = &[
    ("resourceName", Always, Text),
    ("restartPolicy", Always, Text),
];

static CONTAINER_RESTART_RULE: Fields = &[
    ("action", NonEmpty, Text),
    (
        "exitCodes",
        IfSet,
        Object(CONTAINER_RESTART_RULE_ON_EXIT_CODES),
    ),
];

static CONTAINER_RESTART_RULE_ON_EXIT_CODES: Fields = &[
    ("operator", NonEmpty, Text),
    ("values", NonEmpty, List(&Int32)),
];

pub(super) static RESOURCE_REQUIREMENTS: Fields = &[
    (
        "claims",
        Since(26, &NonEmpty),
        List(&Object(RESOURCE_CLAIM)),
    ),
    ("limits", NonEmpty, Map(&Quantity)),
    ("requests", NonEmpty, Map(&Quantity)),
];

static RESOURCE_CLAIM: Fields = &[
    ("name", Always, Text),
    ("request", Since(31, &NonEmpty), Text),
];

static SECURITY_CONTEXT: Fields = &[
    ("allowPrivilegeEscalation", IfSet, Bool),
    (
        "appArmorProfile",
        Since(30, &IfSet),
        Object(APP_ARMOR_PROFILE),
    ),
    ("capabilities", IfSet, Object(CAPABILITIES)),
    ("privileged", IfSet, Bool),
    ("procMount", IfSet, Text),
    ("readOnlyRootFilesystem", IfSet, Bool),
    ("runAsGroup", IfSet, Int64),
    ("runAsNonRoot", IfSet, Bool),
    ("runAsUser", IfSet, Int64),
    ("seLinuxOptions", IfSet, Object(SE_LINUX_OPTIONS)),
    ("seccompProfile", IfSet, Object(SECCOMP_PROFILE)),
    (
        "windowsOptions",
        IfSet,
        Object(WINDOWS_SECURITY_CONTEXT_OPTIONS),
    ),
];

static CAPABILITIES: Fields = &[
    ("add", NonEmpty, List(&Text)),
    ("drop", NonEmpty, List(&Text)),
];

pub(super) static SE_LINUX_OPTIONS: Fields = &[
    ("level", NonEmpty, Text),
    ("role", NonEmpty, Text),
    ("type", NonEmpty, Text),
    ("user", NonEmpty, Text),
];

pub(super) static APP_ARMOR_PROFILE: Fields =
    &[("localhostProfile", IfSet, Text), ("type", Always, Text)];

pub(super) static SECCOMP_PROFILE: Fields =
    &[("localhostProfile", IfSet, Text), ("type", Always, Text)];

pub(super) static WINDOWS_SECURITY_CONTEXT_OPTIONS: Fields = &[
    ("gmsaCredentialSpec", IfSet, Text),
    ("gmsaCredentialSpecName", IfSet, Text),
    ("hostProcess", IfSet, Bool),
    ("runAsUserName", IfSet, Text),
];

static VOLUME_DEVICE: Fields = &[("devicePath", Always, Text), ("name", Always, Text)];

static VOLUME_MOUNT: Fields = &[
    ("mountPath", Always, Text),
    ("mountPropagation", IfSet, Text),
    ("name", Always, Text),
    ("readOnly", NonEmpty, Bool),
    ("recursiveReadOnly", Since(30, &IfSet), Text),
    ("subPath", NonEmpty, Text),
    ("subPathExpr", NonEmpty, Text),
];

pub(super) static EPHEMERAL_CONTAINER: Fields = &[
    ("args", NonEmpty, List(&Text)),
    ("command", NonEmpty, List(&Text)),
    ("env", NonEmpty, List(&Object(ENV_VAR))),
    ("envFrom", NonEmpty, List(&Object(ENV_FROM_SOURCE))),
    ("image", NonEmpty, Text),
    ("imagePullPolicy", NonEmpty, Text),
    ("lifecycle", IfSet, Object(LIFECYCLE)),
    ("livenessProbe", IfSet, Object(PROBE)),
    ("name", Always, Text),
    ("ports", NonEmpty, List(&Object(CONTAINER_PORT))),
    ("readinessProbe", IfSet, Object(PROBE)),
    (
        "resizePolicy",
        Since(27, &NonEmpty),
        List(&Object(CONTAINER_RESIZE_POLICY)),
    ),
    ("resources", Always, Object(RESOURCE_REQUIREMENTS)),
    ("restartPolicy", Since(28, &IfSet), Text),
    (
        "restartPolicyRules",
        Since(34, &NonEmpty),
        List(&Object(CONTAINER_RESTART_RULE)),
    ),
    ("securityContext", IfSet, Object(SECURITY_CONTEXT)),
    ("startupProbe", IfSet, Object(PROBE)),
    ("stdin", NonEmpty, Bool),
    ("stdinOnce", NonEmpty, Bool),
    ("targetContainerName", NonEmpty, Text),
    ("terminationMessagePath", NonEmpty, Text),
    ("terminationMessagePolicy", NonEmpty, Text),
    ("tty", NonEmpty, Bool),
    ("volumeDevices", NonEmpty, List(&Object(VOLUME_DEVICE))),
    ("volumeMounts", NonEmpty, List(&Object(VOLUME_MOUNT))),
    ("workingDir", NonEmpty, Text),
];
