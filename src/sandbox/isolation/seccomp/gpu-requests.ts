/**
 * Requests (`ioctl`) that programs with GPUs may make of NVIDIA's driver. Names and numbers are those of the driver's open
 * kernel modules (nv-ioctl-numbers.h, nv_escape.h, uvm_ioctl.h, uvm_linux_ioctl.h); which of them CUDA needs is known from
 * gVisor, whose nvproxy passes on these. Left out are tools that trace (UVM_TOOLS_*), reading of other memory
 * (UVM_DEBUG_ACCESS_MEMORY), tests, and whatever changes a GPU for others.
 */

/** `_IOC`: the low byte is the number, the next the type; size and direction above them differ with the driver. */
export const GPU_FRONTEND_MASK = 0xffff;
const TYPE = 0x46 << 8;

/** Of /dev/nvidiactl and /dev/nvidiaN. The driver does not look at the type; 'F' is what its libraries send. */
export const GPU_FRONTEND_REQUESTS: Readonly<Record<string, number>> = {
  NV_ESC_CARD_INFO: TYPE | 200,
  NV_ESC_REGISTER_FD: TYPE | 201,
  NV_ESC_ALLOC_OS_EVENT: TYPE | 206,
  NV_ESC_FREE_OS_EVENT: TYPE | 207,
  NV_ESC_CHECK_VERSION_STR: TYPE | 210,
  NV_ESC_ATTACH_GPUS_TO_FD: TYPE | 212,
  NV_ESC_SYS_PARAMS: TYPE | 214,
  NV_ESC_NUMA_INFO: TYPE | 215,
  NV_ESC_EXPORT_TO_DMABUF_FD: TYPE | 217,
  NV_ESC_WAIT_OPEN_COMPLETE: TYPE | 218,
  NV_ESC_RM_ALLOC_MEMORY: TYPE | 0x27,
  NV_ESC_RM_FREE: TYPE | 0x29,
  NV_ESC_RM_CONTROL: TYPE | 0x2a,
  NV_ESC_RM_ALLOC: TYPE | 0x2b,
  NV_ESC_RM_DUP_OBJECT: TYPE | 0x34,
  NV_ESC_RM_SHARE: TYPE | 0x35,
  NV_ESC_RM_IDLE_CHANNELS: TYPE | 0x41,
  NV_ESC_RM_VID_HEAP_CONTROL: TYPE | 0x4a,
  NV_ESC_RM_MAP_MEMORY: TYPE | 0x4e,
  NV_ESC_RM_UNMAP_MEMORY: TYPE | 0x4f,
  NV_ESC_RM_ALLOC_CONTEXT_DMA2: TYPE | 0x54,
  NV_ESC_RM_MAP_MEMORY_DMA: TYPE | 0x57,
  NV_ESC_RM_UNMAP_MEMORY_DMA: TYPE | 0x58,
  NV_ESC_RM_UPDATE_DEVICE_MAPPING_INFO: TYPE | 0x5e,
};

/** Of /dev/nvidia-uvm: plain numbers without type or size. */
export const UVM_REQUESTS: Readonly<Record<string, number>> = {
  UVM_INITIALIZE: 0x3000_0001,
  UVM_DEINITIALIZE: 0x3000_0002,
  UVM_CREATE_RANGE_GROUP: 23,
  UVM_DESTROY_RANGE_GROUP: 24,
  UVM_REGISTER_GPU_VASPACE: 25,
  UVM_UNREGISTER_GPU_VASPACE: 26,
  UVM_REGISTER_CHANNEL: 27,
  UVM_UNREGISTER_CHANNEL: 28,
  UVM_ENABLE_PEER_ACCESS: 29,
  UVM_DISABLE_PEER_ACCESS: 30,
  UVM_SET_RANGE_GROUP: 31,
  UVM_MAP_EXTERNAL_ALLOCATION: 33,
  UVM_FREE: 34,
  UVM_REGISTER_GPU: 37,
  UVM_UNREGISTER_GPU: 38,
  UVM_PAGEABLE_MEM_ACCESS: 39,
  UVM_PREVENT_MIGRATION_RANGE_GROUPS: 40,
  UVM_ALLOW_MIGRATION_RANGE_GROUPS: 41,
  UVM_SET_PREFERRED_LOCATION: 42,
  UVM_UNSET_PREFERRED_LOCATION: 43,
  UVM_ENABLE_READ_DUPLICATION: 44,
  UVM_DISABLE_READ_DUPLICATION: 45,
  UVM_SET_ACCESSED_BY: 46,
  UVM_UNSET_ACCESSED_BY: 47,
  UVM_MIGRATE: 51,
  UVM_MIGRATE_RANGE_GROUP: 53,
  UVM_MAP_DYNAMIC_PARALLELISM_REGION: 65,
  UVM_ALLOC_SEMAPHORE_POOL: 68,
  UVM_VALIDATE_VA_RANGE: 72,
  UVM_CREATE_EXTERNAL_RANGE: 73,
  UVM_MM_INITIALIZE: 75,
};
