//! Volumes, as the API server writes them.
//!
//! Kubernetes 1.24 to 1.34, `k8s.io/api/core/v1/types.go`.
//! The fields of each type are sorted by name.

use super::container::{OBJECT_FIELD_SELECTOR, RESOURCE_FIELD_SELECTOR, RESOURCE_REQUIREMENTS};
use super::pod::{LABEL_SELECTOR, OBJECT_META};
use super::{
    Fields,
    Presence::{Always, IfSet, NonEmpty, Nullable, Since},
    Shape::{Bool, Int32, Int64, List, Map, Object, Quantity, Text},
};

pub(super) static LOCAL_OBJECT_REFERENCE: Fields = &[("name", NonEmpty, Text)];

pub(super) static VOLUME: Fields = &[
    (
        "awsElasticBlockStore",
        IfSet,
        Object(AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE),
    ),
    ("azureDisk", IfSet, Object(AZURE_DISK_VOLUME_SOURCE)),
    ("azureFile", IfSet, Object(AZURE_FILE_VOLUME_SOURCE)),
    ("cephfs", IfSet, Object(CEPH_FS_VOLUME_SOURCE)),
    ("cinder", IfSet, Object(CINDER_VOLUME_SOURCE)),
    ("configMap", IfSet, Object(CONFIG_MAP_VOLUME_SOURCE)),
    ("csi", IfSet, Object(CSI_VOLUME_SOURCE)),
    ("downwardAPI", IfSet, Object(DOWNWARD_API_VOLUME_SOURCE)),
    ("emptyDir", IfSet, Object(EMPTY_DIR_VOLUME_SOURCE)),
    ("ephemeral", IfSet, Object(EPHEMERAL_VOLUME_SOURCE)),
    ("fc", IfSet, Object(FC_VOLUME_SOURCE)),
    ("flexVolume", IfSet, Object(FLEX_VOLUME_SOURCE)),
    ("flocker", IfSet, Object(FLOCKER_VOLUME_SOURCE)),
    (
        "gcePersistentDisk",
        IfSet,
        Object(GCE_PERSISTENT_DISK_VOLUME_SOURCE),
    ),
    ("gitRepo", IfSet, Object(GIT_REPO_VOLUME_SOURCE)),
    ("glusterfs", IfSet, Object(GLUSTERFS_VOLUME_SOURCE)),
    ("hostPath", IfSet, Object(HOST_PATH_VOLUME_SOURCE)),
    ("image", Since(31, &IfSet), Object(IMAGE_VOLUME_SOURCE)),
    ("iscsi", IfSet, Object(ISCSI_VOLUME_SOURCE)),
    ("name", Always, Text),
    ("nfs", IfSet, Object(NFS_VOLUME_SOURCE)),
    (
        "persistentVolumeClaim",
        IfSet,
        Object(PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE),
    ),
    (
        "photonPersistentDisk",
        IfSet,
        Object(PHOTON_PERSISTENT_DISK_VOLUME_SOURCE),
    ),
    ("portworxVolume", IfSet, Object(PORTWORX_VOLUME_SOURCE)),
    ("projected", IfSet, Object(PROJECTED_VOLUME_SOURCE)),
    ("quobyte", IfSet, Object(QUOBYTE_VOLUME_SOURCE)),
    ("rbd", IfSet, Object(RBD_VOLUME_SOURCE)),
    ("scaleIO", IfSet, Object(SCALE_IO_VOLUME_SOURCE)),
    ("secret", IfSet, Object(SECRET_VOLUME_SOURCE)),
    ("storageos", IfSet, Object(STORAGE_OS_VOLUME_SOURCE)),
    (
        "vsphereVolume",
        IfSet,
        Object(VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE),
    ),
];

static AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("partition", NonEmpty, Int32),
    ("readOnly", NonEmpty, Bool),
    ("volumeID", Always, Text),
];

static AZURE_DISK_VOLUME_SOURCE: Fields = &[
    ("cachingMode", IfSet, Text),
    ("diskName", Always, Text),
    ("diskURI", Always, Text),
    ("fsType", IfSet, Text),
    ("kind", IfSet, Text),
    ("readOnly", IfSet, Bool),
];

static AZURE_FILE_VOLUME_SOURCE: Fields = &[
    ("readOnly", NonEmpty, Bool),
    ("secretName", Always, Text),
    ("shareName", Always, Text),
];

static CEPH_FS_VOLUME_SOURCE: Fields = &[
    ("monitors", Always, List(&Text)),
    ("path", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("secretFile", NonEmpty, Text),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
    ("user", NonEmpty, Text),
];

static CINDER_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
    ("volumeID", Always, Text),
];

static CONFIG_MAP_VOLUME_SOURCE: Fields = &[
    ("defaultMode", IfSet, Int32),
    ("items", NonEmpty, List(&Object(KEY_TO_PATH))),
    ("name", NonEmpty, Text),
    ("optional", IfSet, Bool),
];

static KEY_TO_PATH: Fields = &[
    ("key", Always, Text),
    ("mode", IfSet, Int32),
    ("path", Always, Text),
];

static CSI_VOLUME_SOURCE: Fields = &[
    ("driver", Always, Text),
    ("fsType", IfSet, Text),
    (
        "nodePublishSecretRef",
        IfSet,
        Object(LOCAL_OBJECT_REFERENCE),
    ),
    ("readOnly", IfSet, Bool),
    ("volumeAttributes", NonEmpty, Map(&Text)),
];

static DOWNWARD_API_VOLUME_SOURCE: Fields = &[
    ("defaultMode", IfSet, Int32),
    ("items", NonEmpty, List(&Object(DOWNWARD_API_VOLUME_FILE))),
];

static DOWNWARD_API_VOLUME_FILE: Fields = &[
    ("fieldRef", IfSet, Object(OBJECT_FIELD_SELECTOR)),
    ("mode", IfSet, Int32),
    ("path", Always, Text),
    ("resourceFieldRef", IfSet, Object(RESOURCE_FIELD_SELECTOR)),
];

static EMPTY_DIR_VOLUME_SOURCE: Fields =
    &[("medium", NonEmpty, Text), ("sizeLimit", IfSet, Quantity)];

static EPHEMERAL_VOLUME_SOURCE: Fields = &[(
    "volumeClaimTemplate",
    IfSet,
    Object(PERSISTENT_VOLUME_CLAIM_TEMPLATE),
)];

static PERSISTENT_VOLUME_CLAIM_TEMPLATE: Fields = &[
    ("metadata", Always, Object(OBJECT_META)),
    ("spec", Always, Object(PERSISTENT_VOLUME_CLAIM_SPEC)),
];

static PERSISTENT_VOLUME_CLAIM_SPEC: Fields = &[
    ("accessModes", NonEmpty, List(&Text)),
    ("dataSource", IfSet, Object(TYPED_LOCAL_OBJECT_REFERENCE)),
    ("dataSourceRef", IfSet, Object(TYPED_OBJECT_REFERENCE)),
    ("resources", Always, Object(RESOURCE_REQUIREMENTS)),
    ("selector", IfSet, Object(LABEL_SELECTOR)),
    ("storageClassName", IfSet, Text),
    ("volumeAttributesClassName", Since(29, &IfSet), Text),
    ("volumeMode", IfSet, Text),
    ("volumeName", NonEmpty, Text),
];

static TYPED_LOCAL_OBJECT_REFERENCE: Fields = &[
    ("apiGroup", Nullable, Text),
    ("kind", Always, Text),
    ("name", Always, Text),
];

static TYPED_OBJECT_REFERENCE: Fields = &[
    ("apiGroup", Nullable, Text),
    ("kind", Always, Text),
    ("name", Always, Text),
    ("namespace", Since(26, &IfSet), Text),
];

static FC_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("lun", IfSet, Int32),
    ("readOnly", NonEmpty, Bool),
    ("targetWWNs", NonEmpty, List(&Text)),
    ("wwids", NonEmpty, List(&Text)),
];

static FLEX_VOLUME_SOURCE: Fields = &[
    ("driver", Always, Text),
    ("fsType", NonEmpty, Text),
    ("options", NonEmpty, Map(&Text)),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
];

static FLOCKER_VOLUME_SOURCE: Fields = &[
    ("datasetName", NonEmpty, Text),
    ("datasetUUID", NonEmpty, Text),
];

static GCE_PERSISTENT_DISK_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("partition", NonEmpty, Int32),
    ("pdName", Always, Text),
    ("readOnly", NonEmpty, Bool),
];

static GIT_REPO_VOLUME_SOURCE: Fields = &[
    ("directory", NonEmpty, Text),
    ("repository", Always, Text),
    ("revision", NonEmpty, Text),
];

static GLUSTERFS_VOLUME_SOURCE: Fields = &[
    ("endpoints", Always, Text),
    ("path", Always, Text),
    ("readOnly", NonEmpty, Bool),
];

static HOST_PATH_VOLUME_SOURCE: Fields = &[("path", Always, Text), ("type", IfSet, Text)];

static IMAGE_VOLUME_SOURCE: Fields = &[
    ("pullPolicy", NonEmpty, Text),
    ("reference", NonEmpty, Text),
];

static ISCSI_VOLUME_SOURCE: Fields = &[
    ("chapAuthDiscovery", NonEmpty, Bool),
    ("chapAuthSession", NonEmpty, Bool),
    ("fsType", NonEmpty, Text),
    ("initiatorName", IfSet, Text),
    ("iqn", Always, Text),
    ("iscsiInterface", NonEmpty, Text),
    ("lun", Always, Int32),
    ("portals", NonEmpty, List(&Text)),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
    ("targetPortal", Always, Text),
];

static NFS_VOLUME_SOURCE: Fields = &[
    ("path", Always, Text),
    ("readOnly", NonEmpty, Bool),
    ("server", Always, Text),
];

static PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: Fields =
    &[("claimName", Always, Text), ("readOnly", NonEmpty, Bool)];

static PHOTON_PERSISTENT_DISK_VOLUME_SOURCE: Fields =
    &[("fsType", NonEmpty, Text), ("pdID", Always, Text)];

static PORTWORX_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("volumeID", Always, Text),
];

static PROJECTED_VOLUME_SOURCE: Fields = &[
    ("defaultMode", IfSet, Int32),
    ("sources", Always, List(&Object(VOLUME_PROJECTION))),
];

static VOLUME_PROJECTION: Fields = &[
    (
        "clusterTrustBundle",
        Since(29, &IfSet),
        Object(CLUSTER_TRUST_BUNDLE_PROJECTION),
    ),
    ("configMap", IfSet, Object(CONFIG_MAP_PROJECTION)),
    ("downwardAPI", IfSet, Object(DOWNWARD_API_PROJECTION)),
    (
        "podCertificate",
        Since(34, &IfSet),
        Object(POD_CERTIFICATE_PROJECTION),
    ),
    ("secret", IfSet, Object(SECRET_PROJECTION)),
    (
        "serviceAccountToken",
        IfSet,
        Object(SERVICE_ACCOUNT_TOKEN_PROJECTION),
    ),
];

static CONFIG_MAP_PROJECTION: Fields = &[
    ("items", NonEmpty, List(&Object(KEY_TO_PATH))),
    ("name", NonEmpty, Text),
    ("optional", IfSet, Bool),
];

static DOWNWARD_API_PROJECTION: Fields =
    &[("items", NonEmpty, List(&Object(DOWNWARD_API_VOLUME_FILE)))];

static SECRET_PROJECTION: Fields = &[
    ("items", NonEmpty, List(&Object(KEY_TO_PATH))),
    ("name", NonEmpty, Text),
    ("optional", IfSet, Bool),
];

static SERVICE_ACCOUNT_TOKEN_PROJECTION: Fields = &[
    ("audience", NonEmpty, Text),
    ("expirationSeconds", IfSet, Int64),
    ("path", Always, Text),
];

static CLUSTER_TRUST_BUNDLE_PROJECTION: Fields = &[
    ("labelSelector", IfSet, Object(LABEL_SELECTOR)),
    ("name", IfSet, Text),
    ("optional", IfSet, Bool),
    ("path", Always, Text),
    ("signerName", IfSet, Text),
];

static POD_CERTIFICATE_PROJECTION: Fields = &[
    ("certificateChainPath", NonEmpty, Text),
    ("credentialBundlePath", NonEmpty, Text),
    ("keyPath", NonEmpty, Text),
    ("keyType", NonEmpty, Text),
    ("maxExpirationSeconds", IfSet, Int32),
    ("signerName", NonEmpty, Text),
];

static QUOBYTE_VOLUME_SOURCE: Fields = &[
    ("group", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("registry", Always, Text),
    ("tenant", NonEmpty, Text),
    ("user", NonEmpty, Text),
    ("volume", Always, Text),
];

static RBD_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("image", Always, Text),
    ("keyring", NonEmpty, Text),
    ("monitors", Always, List(&Text)),
    ("pool", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
    ("user", NonEmpty, Text),
];

static SCALE_IO_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("gateway", Always, Text),
    ("protectionDomain", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", Nullable, Object(LOCAL_OBJECT_REFERENCE)),
    ("sslEnabled", NonEmpty, Bool),
    ("storageMode", NonEmpty, Text),
    ("storagePool", NonEmpty, Text),
    ("system", Always, Text),
    ("volumeName", NonEmpty, Text),
];

static SECRET_VOLUME_SOURCE: Fields = &[
    ("defaultMode", IfSet, Int32),
    ("items", NonEmpty, List(&Object(KEY_TO_PATH))),
    ("optional", IfSet, Bool),
    ("secretName", NonEmpty, Text),
];

static STORAGE_OS_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("readOnly", NonEmpty, Bool),
    ("secretRef", IfSet, Object(LOCAL_OBJECT_REFERENCE)),
    ("volumeName", NonEmpty, Text),
    ("volumeNamespace", NonEmpty, Text),
];

static VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE: Fields = &[
    ("fsType", NonEmpty, Text),
    ("storagePolicyID", NonEmpty, Text),
    ("storagePolicyName", NonEmpty, Text),
    ("volumePath", Always, Text),
];
