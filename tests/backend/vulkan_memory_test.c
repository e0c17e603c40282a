/* Device memory of the Vulkan backend: buffers, staging, the sub-allocator, failures. */
#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

#include "base/rng.h"

static void buffer(tuff_backend_device *device, uint64_t bytes, tuff_backend_buffer **out)
{
    KIT_OK(vulkan->buffer_create(device, bytes, "test", out));
}

static void expect_bytes(tuff_backend_device *device, tuff_backend_buffer *x, uint64_t offset,
                         const void *want, uint64_t bytes)
{
    uint8_t *got = test_malloc(bytes);
    memset(got, 0xa5, bytes);
    KIT_OK(vulkan->buffer_read(device, x, offset, got, bytes));
    assert_memory_equal(got, want, bytes);
    test_free(got);
}

static void pattern(uint8_t *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + seed);
}

/* Writes to the middle one of three buffers; its neighbours keep their bytes. */
static void write_between_sentinels(tuff_backend_device *device, uint64_t bytes)
{
    tuff_backend_buffer *x[3];
    uint8_t *data[3];
    for (int i = 0; i < 3; i++) {
        buffer(device, bytes, &x[i]);
        data[i] = test_calloc(bytes, 1);
        expect_bytes(device, x[i], 0, data[i], bytes); /* new ones are zero */
        pattern(data[i], bytes, (unsigned)i);
        KIT_OK(vulkan->buffer_write(device, x[i], 0, data[i], bytes));
    }
    pattern(data[1], bytes - 6, 99);
    memmove(data[1] + 3, data[1], bytes - 6);
    KIT_OK(vulkan->buffer_write(device, x[1], 3, data[1] + 3, bytes - 6));
    KIT_OK(vulkan->buffer_read(device, x[1], 0, data[1], 3));
    for (int i = 0; i < 3; i++) {
        expect_bytes(device, x[i], 0, data[i], bytes);
        expect_bytes(device, x[i], 5, data[i] + 5, bytes - 9);
        vulkan->buffer_destroy(device, &x[i]);
        assert_null(x[i]);
        test_free(data[i]);
    }
}

static void reads_what_was_written(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    write_between_sentinels(device, 1000);
    write_between_sentinels(device, 257);
    kit_vulkan_close(&device);
}

/* As on a card whose memory the host cannot reach. 9 MiB and a bit: more than both halves of the staging
 * memory. */
static void reads_through_staging(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device_of(device)->direct_write = tuff_vk_device_of(device)->direct_read = false;
    write_between_sentinels(device, 1000);
    write_between_sentinels(device, (9 << 20) + 77);
    kit_vulkan_close(&device);
}

/* As on a card whose memory the host reaches all of, but over the bus: it writes there, and has it read. */
static void writes_over_the_bus(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device_of(device)->direct_read = false;
    write_between_sentinels(device, 1000);
    write_between_sentinels(device, (9 << 20) + 77);
    kit_vulkan_close(&device);
}

static void refuses_ranges_outside(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_backend_buffer *x;
    uint8_t data[16] = {0};
    buffer(device, 100, &x);
    KIT_FAILS(vulkan->buffer_write(device, x, 96, data, 5), TUFF_INVALID_ARGUMENT, "buffer of 100 bytes");
    KIT_FAILS(vulkan->buffer_read(device, x, UINT64_MAX - 1, data, 4), TUFF_INVALID_ARGUMENT,
              "buffer of 100 bytes");
    KIT_OK(vulkan->buffer_write(device, x, 100, data, 0));
    vulkan->buffer_destroy(device, &x);
    kit_vulkan_close(&device);
}

/* Many buffers made and destroyed in a random order: none overlaps another, few driver allocations serve all,
 * and all memory returns. */
static void shares_blocks(void **state)
{
    (void)state;
    enum { N = 64, ROUNDS = 600 };
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_backend_buffer *x[N] = {0};
    uint32_t mark[N];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        tuff_philox r = tuff_philox4x32(7, round, 0, 0);
        uint32_t i = r.v[0] % N;
        if (x[i]) { /* its first and last words are still its own */
            expect_bytes(device, x[i], 0, &mark[i], 4);
            expect_bytes(device, x[i], x[i]->bytes - 4, &mark[i], 4);
            vulkan->buffer_destroy(device, &x[i]);
            continue;
        }
        buffer(device, 8 + r.v[1] % (r.v[2] % 8 ? 5000 : 500000), &x[i]);
        mark[i] = r.v[3];
        KIT_OK(vulkan->buffer_write(device, x[i], x[i]->bytes - 4, &mark[i], 4));
        KIT_OK(vulkan->buffer_write(device, x[i], 0, &mark[i], 4));
    }
    for (int i = 0; i < N; i++) {
        if (!x[i]) continue;
        expect_bytes(device, x[i], 0, &mark[i], 4);
        expect_bytes(device, x[i], x[i]->bytes - 4, &mark[i], 4);
    }
    assert_true(kit_vulkan_stats(device).allocations < 8);
    for (int i = 0; i < N; i++)
        vulkan->buffer_destroy(device, &x[i]);
    assert_int_equal(kit_vulkan_stats(device).bytes, 0);
    kit_vulkan_close(&device);
}

/* Programs come and go: the driver is not asked again for what was just given back; what is too large to be
 * kept is not, and what is kept goes when something larger is wanted. */
static void keeps_an_empty_block(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    for (int i = 0; i < 5; i++) {
        tuff_vk_memory x;
        KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, 1000, "x", &x));
        assert_true(kit_vulkan_stats(device).bytes > 0);
        tuff_vk_memory_destroy(vk, &x);
        assert_int_equal(kit_vulkan_stats(device).bytes, 0);
    }
    assert_int_equal(kit_vulkan_stats(device).allocations, 1);
    assert_non_null(vk->blocks);
    tuff_vk_memory large;
    KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, vk->blocks->bytes + 1, "larger", &large));
    assert_null(vk->blocks->next);
    tuff_vk_memory_destroy(vk, &large);
    assert_null(vk->blocks);
    kit_vulkan_close(&device);
}

static void reuses_freed_parts(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_vk_memory a, b, c, d;
    KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, 1000, "a", &a));
    KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, 1000, "b", &b));
    KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, 1000, "c", &c));
    assert_int_equal(tuff_vk_address(&a) % 256, 0);
    uint64_t first = a.offset;
    tuff_vk_memory_destroy(vk, &a);
    tuff_vk_memory_destroy(vk, &b);
    KIT_OK(tuff_vk_memory_create(vk, TUFF_VK_TENSOR, 2048, "d",
                                 &d)); /* fits only where a and b have become one */
    assert_int_equal(d.offset, first);
    tuff_vk_memory_destroy(vk, &d);
    tuff_vk_memory_destroy(vk, &c);
    assert_int_equal(kit_vulkan_stats(device).bytes, 0);
    kit_vulkan_close(&device);
}

/* ---- failures: entries of the device's function table are swapped ---- */

static VkResult VKAPI_PTR no_memory(VkDevice device, const VkMemoryAllocateInfo *info,
                                    const VkAllocationCallbacks *callbacks, VkDeviceMemory *out)
{
    (void)device, (void)info, (void)callbacks, (void)out;
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void says_wanted_and_available(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_backend_buffer *x;
    PFN_vkAllocateMemory allocate = vk->vk.vkAllocateMemory;
    vk->vk.vkAllocateMemory = no_memory;
    KIT_FAILS(vulkan->buffer_create(device, 3 << 20, "wte.weight", &x), TUFF_OUT_OF_MEMORY,
              "wte.weight wants 3.0 MiB of device memory");
    kit_expect_message("MiB are available", "buffer_create", __FILE__, __LINE__);
    assert_null(x);
    vk->vk.vkAllocateMemory = allocate;
    KIT_OK(vulkan->buffer_create(device, 3 << 20, "wte.weight", &x));
    vulkan->buffer_destroy(device, &x);
    KIT_FAILS(vulkan->buffer_create(device, device->caps.max_allocation + 1, "huge", &x), TUFF_UNSUPPORTED,
              "in one piece");
    KIT_FAILS(vulkan->buffer_create(device, UINT64_MAX, "huge", &x), TUFF_OUT_OF_MEMORY, "wants");
    kit_vulkan_close(&device);
}

static VkResult VKAPI_PTR no_mapping(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset,
                                     VkDeviceSize size, VkMemoryMapFlags flags, void **out)
{
    (void)device, (void)memory, (void)offset, (void)size, (void)flags, (void)out;
    return VK_ERROR_MEMORY_MAP_FAILED;
}

/* Host addresses may run out where the device's memory does not; what was allocated goes back. */
static void an_address_is_memory_too(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_backend_buffer *x;
    if (!vk->direct_write) { /* nothing is mapped */
        kit_vulkan_close(&device);
        skip();
    }
    PFN_vkMapMemory map = vk->vk.vkMapMemory;
    vk->vk.vkMapMemory = no_mapping;
    KIT_FAILS(vulkan->buffer_create(device, 64, "x", &x), TUFF_OUT_OF_MEMORY, "out of host memory");
    assert_int_equal(kit_vulkan_stats(device).bytes, 0);
    vk->vk.vkMapMemory = map;
    KIT_OK(vulkan->buffer_create(device, 64, "x", &x));
    vulkan->buffer_destroy(device, &x);
    kit_vulkan_close(&device);
}

/* The last block may not fit while the part asked for does. */
static uint64_t only_below;
static PFN_vkAllocateMemory real_allocate;
static VkResult VKAPI_PTR little_memory(VkDevice device, const VkMemoryAllocateInfo *info,
                                        const VkAllocationCallbacks *callbacks, VkDeviceMemory *out)
{
    if (info->allocationSize >= only_below) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return real_allocate(device, info, callbacks, out);
}

static void takes_less_than_a_block(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_backend_buffer *x;
    real_allocate = vk->vk.vkAllocateMemory;
    only_below = 4 << 20;
    vk->vk.vkAllocateMemory = little_memory;
    KIT_OK(vulkan->buffer_create(device, 3 << 20, "x", &x));
    assert_true(kit_vulkan_stats(device).bytes < 4 << 20);
    vulkan->buffer_destroy(device, &x);
    kit_vulkan_close(&device);
}

/* Memory that is not coherent is flushed and invalidated in whole atoms within the block. */
static unsigned n_flushed, n_invalidated;
static uint64_t block_bytes;
static VkResult check_ranges(uint32_t n, const VkMappedMemoryRange *ranges)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(ranges[i].offset % 256, 0);
        assert_int_equal(ranges[i].size % 256, 0);
        assert_true(ranges[i].offset + ranges[i].size <= block_bytes);
    }
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR flush(VkDevice device, uint32_t n, const VkMappedMemoryRange *ranges)
{
    (void)device;
    n_flushed++;
    return check_ranges(n, ranges);
}
static VkResult VKAPI_PTR invalidate(VkDevice device, uint32_t n, const VkMappedMemoryRange *ranges)
{
    (void)device;
    n_invalidated++;
    return check_ranges(n, ranges);
}

static void flushes_incoherent_memory(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_backend_buffer *x;
    buffer(device, 1000, &x);
    vk->vk.vkFlushMappedMemoryRanges = flush;
    vk->vk.vkInvalidateMappedMemoryRanges = invalidate;
    vk->blocks->coherent = false;
    block_bytes = vk->blocks->bytes;
    uint8_t data[999] = {1};
    KIT_OK(vulkan->buffer_write(device, x, 1, data, 999));
    assert_int_equal(n_flushed, vk->direct_write ? 1 : 0);
    /* before the write: the flush carries the bytes beside it too */
    assert_int_equal(n_invalidated, vk->direct_write ? 1 : 0);
    n_invalidated = 0;
    KIT_OK(vulkan->buffer_read(device, x, 1, data, 999));
    assert_int_equal(n_invalidated, vk->direct_read ? 1 : 0);
    vulkan->buffer_destroy(device, &x);
    kit_vulkan_close(&device);
}

static VkResult VKAPI_PTR lost_submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    (void)queue, (void)n, (void)infos, (void)fence;
    return VK_ERROR_DEVICE_LOST;
}

static void a_lost_device_is_a_status(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_vk_device *vk = tuff_vk_device_of(device);
    tuff_backend_buffer *x, *y;
    uint8_t data[64] = {0};
    buffer(device, 64, &x);
    vk->direct_write = vk->direct_read = false;
    PFN_vkQueueSubmit real = vk->vk.vkQueueSubmit;
    vk->vk.vkQueueSubmit = lost_submit;
    KIT_FAILS(vulkan->buffer_write(device, x, 0, data, 64), TUFF_DEVICE_LOST,
              "was lost while submitting work");
    vk->vk.vkQueueSubmit = real; /* it stays lost */
    KIT_FAILS(vulkan->buffer_write(device, x, 0, data, 64), TUFF_DEVICE_LOST, "reopen the device");
    KIT_FAILS(vulkan->buffer_read(device, x, 0, data, 64), TUFF_DEVICE_LOST, "reopen the device");
    KIT_FAILS(vulkan->buffer_create(device, 64, "y", &y), TUFF_DEVICE_LOST, "reopen the device");
    vulkan->buffer_destroy(device, &x);
    kit_vulkan_close(&device);
}

static tuff_status open_and_use(void *user)
{
    tuff_backend_device *device;
    tuff_backend_buffer *x = NULL;
    tuff_open_params params = {.profile = true};
    uint8_t data[64] = {0};
    TUFF_TRY(vulkan->open(*(size_t *)user, &params, &device));
    tuff_status status = TUFF_OK;
    TUFF_GO(vulkan->buffer_create(device, 64, "x", &x));
    tuff_vk_device_of(device)->direct_write = false;
    TUFF_GO(vulkan->buffer_write(device, x, 0, data, 64));
done:
    vulkan->buffer_destroy(device, &x);
    vulkan->close(&device);
    return status;
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    size_t index = (size_t)kit_vulkan_index();
    assert_true(kit_for_each_allocation_failure(open_and_use, &index) > 5);
}

static void masks_lower_the_caps(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){
        .mask = {.features = ~0u, .shared = 4096, .allocation = 3 << 20, .memory = 8 << 20}});
    assert_int_equal(device->caps.features, 0);
    assert_int_equal(device->caps.shared_bytes, 4096);
    /* in one piece; in all, though the driver has more */
    tuff_backend_buffer *x[3] = {0};
    KIT_FAILS(vulkan->buffer_create(device, (3 << 20) + 1, "too long", &x[0]), TUFF_UNSUPPORTED,
              "in one piece");
    buffer(device, 3 << 20, &x[0]);
    buffer(device, 3 << 20, &x[1]);
    KIT_FAILS(vulkan->buffer_create(device, 3 << 20, "the third", &x[2]), TUFF_OUT_OF_MEMORY,
              "the third wants 3.0 MiB of device memory, 2.0 MiB are available");
    KIT_OK(tuff_vk_memory_expect(tuff_vk_device_of(device), 2 << 20, "a plan"));
    KIT_FAILS(tuff_vk_memory_expect(tuff_vk_device_of(device), (2 << 20) + 1, "a plan"), TUFF_OUT_OF_MEMORY,
              "a plan wants 2.0 MiB of device memory in all, 2.0 MiB are available");
    vulkan->buffer_destroy(device, &x[0]);
    buffer(device, 3 << 20, &x[2]);
    vulkan->buffer_destroy(device, &x[1]);
    vulkan->buffer_destroy(device, &x[2]);
    assert_false(device->caps.is_host);
    kit_vulkan_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(reads_through_staging),
        cmocka_unit_test(writes_over_the_bus),
        cmocka_unit_test(refuses_ranges_outside),
        cmocka_unit_test(shares_blocks),
        cmocka_unit_test(keeps_an_empty_block),
        cmocka_unit_test(reuses_freed_parts),
        cmocka_unit_test(says_wanted_and_available),
        cmocka_unit_test(takes_less_than_a_block),
        cmocka_unit_test(an_address_is_memory_too),
        cmocka_unit_test(flushes_incoherent_memory),
        cmocka_unit_test(a_lost_device_is_a_status),
        cmocka_unit_test(survives_failed_allocations),
        cmocka_unit_test(masks_lower_the_caps),
    };
    if (kit_vulkan_index() < 0) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
