/*
 * A libcublas.so.12 that forwards its functions to libcublas.so.13.
 *
 * The Faiss of this kit was linked with cuBLAS 12, which is too large for the kit, while torch brings cuBLAS 13. Faiss
 * uses eight functions of cuBLAS. Their arguments are the same in both versions, so each function here only jumps to
 * the function of the same name in libcublas.so.13, whose path is CUBLAS_13. If that library cannot be loaded, every
 * function returns CUBLAS_STATUS_NOT_INITIALIZED.
 */
#include <dlfcn.h>
#include <stdio.h>

static int not_initialized(void) { return 1; }

#define FUNCTIONS(EACH)                                                                                             \
    EACH(cublasCreate_v2) EACH(cublasDestroy_v2) EACH(cublasSetStream_v2) EACH(cublasGetMathMode)                   \
    EACH(cublasSetMathMode) EACH(cublasSgemmEx) EACH(cublasGemmEx) EACH(cublasGemmStridedBatchedEx)

#define JUMP(name)                                                                                                  \
    __attribute__((used, visibility("hidden"))) void *to_##name = not_initialized;                                  \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n\tjmp *to_" #name "(%rip)\n");

FUNCTIONS(JUMP)

__attribute__((constructor)) static void find_functions(void) {
    void *library = dlopen(CUBLAS_13, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "cublas bridge: %s\n", dlerror());
        return;
    }
#define FIND(name)                                                                                                  \
    if (dlsym(library, #name))                                                                                      \
        to_##name = dlsym(library, #name);
    FUNCTIONS(FIND)
}
