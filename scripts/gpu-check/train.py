"""A small job for a GPU, run by scripts/gpu-check.ts: `train.py FROM TO` goes from one step to another.

With PyTorch it trains a model on numbers that follow from a seed and leaves its state in /output/checkpoint; it goes on
from /input/checkpoint where there is one. Without, it runs a kernel of CUDA's driver interface as many times, so that
nodes, libraries and requests are tried all the same. /output/end says where it has come to.
"""
import ctypes
import os
import sys

PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry step(.param .u64 data) {
  .reg .b32 %r<6>; .reg .b64 %d<4>; .reg .f32 %f<4>;
  ld.param.u64 %d1, [data];
  cvta.to.global.u64 %d1, %d1;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  mul.wide.u32 %d2, %r4, 4;
  add.s64 %d3, %d1, %d2;
  ld.global.f32 %f1, [%d3];
  add.f32 %f2, %f1, 0f3F800000;
  st.global.f32 [%d3], %f2;
  ret;
}
\0"""


def train_torch(torch, start, end):
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    device = torch.device("cuda:0")
    print("torch", torch.__version__, "cuda", torch.version.cuda, torch.cuda.get_device_name(0), flush=True)
    print("GPUs seen:", torch.cuda.device_count(), flush=True)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)).to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    if os.path.exists("/input/checkpoint"):
        state = torch.load("/input/checkpoint", map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    loss = None
    for step in range(start, end):
        numbers = torch.Generator().manual_seed(step)
        data = torch.randn(512, 64, generator=numbers).to(device)
        wanted = (data[:, :10].argmax(dim=1)).to(device)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(data), wanted)
        loss.backward()
        optimiser.step()
        if step % 50 == 49:
            print("step", step + 1, "loss", float(loss), flush=True)
            torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict()}, "/output/checkpoint")
    sums = [repr(float(p.double().sum())) for p in model.parameters()]
    return f"torch {end} {float(loss)!r} {' '.join(sums)}"


def run_driver(start, end):
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name, *arguments):
        code = getattr(cuda, name)(*arguments)
        if code != 0:
            sys.exit(f"{name} failed with {code}")

    call("cuInit", 0)
    count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
    call("cuDeviceGetCount", ctypes.byref(count))
    print("GPUs seen:", count.value, flush=True)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuCtxCreate_v2", ctypes.byref(context), 0, device)
    module, function, memory = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
    call("cuModuleLoadData", ctypes.byref(module), PTX)
    call("cuModuleGetFunction", ctypes.byref(function), module, b"step")
    length = 1 << 20
    host = (ctypes.c_float * length)()
    if os.path.exists("/input/checkpoint"):
        with open("/input/checkpoint", "rb") as file:
            file.readinto(host)
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(4 * length))
    call("cuMemcpyHtoD_v2", memory, host, ctypes.c_size_t(4 * length))
    arguments = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.pointer(memory), ctypes.c_void_p))
    for _ in range(start, end):
        call("cuLaunchKernel", function, length // 256, 1, 1, 256, 1, 1, 0, None, arguments, None)
    call("cuCtxSynchronize")
    call("cuMemcpyDtoH_v2", host, memory, ctypes.c_size_t(4 * length))
    with open("/output/checkpoint", "wb") as file:
        file.write(bytes(host))
    if any(value != float(end) for value in (host[0], host[length // 2], host[length - 1])):
        sys.exit(f"the kernel gave {host[0]}, {end} was expected")
    return f"driver {end} {host[0]!r}"


def main():
    start, end = int(sys.argv[1]), int(sys.argv[2])
    try:
        import torch
    except ImportError as error:
        print("no PyTorch:", error, flush=True)
        result = run_driver(start, end)
    else:
        result = train_torch(torch, start, end)
    with open("/output/end", "w") as file:
        file.write(result)


main()
