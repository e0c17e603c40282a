#define _POSIX_C_SOURCE 200809L
#include "base/pages.h"

#include <sys/mman.h>

#include "base/file_os.h"
#include "base/status.h"

tuff_status tuff_pages_open(const tuff_file *file, tuff_pages *out)
{
    *out = (tuff_pages){0};
    if (file->size > SIZE_MAX)
        return tuff_fail(TUFF_UNSUPPORTED, "cannot read %s: it is larger than this machine's address space",
                         file->path);
    if (file->size == 0) return TUFF_OK;
    void *data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_SHARED, file->handle - 1, 0);
    if (data == MAP_FAILED) return tuff_fail_errno("find addresses for", file->path);
    *out = (tuff_pages){data, (size_t)file->size};
    return TUFF_OK;
}

void tuff_pages_close(tuff_pages *pages)
{
    if (pages->data) munmap((void *)(uintptr_t)pages->data, pages->size);
    *pages = (tuff_pages){0};
}
