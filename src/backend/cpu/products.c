/* The matmul primitive of oneDNN. Never dnnl_sgemm: oneDNN 2.6's does not survive a signal
 * handler on the thread's own stack. What fails for want of memory goes by our own loop. */
#include "backend/cpu/products.h"

#include <string.h>

#include "base/memory.h"
#include "base/os.h"

static void run_plain(const tuff_tile_shape *shape, const float *a, const float *b, float *c)
{
    tuff_tile_plain(shape, a, shape->transposed ? 1 : shape->k, shape->transposed ? shape->m : 1, b, c);
}

#ifdef TUFF_HAVE_ONEDNN
#include <dnnl.h>

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
/* of the OpenMP runtime that oneDNN uses; not from omp.h, which is a compiler's own */
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int threads);
#else
static int omp_get_max_threads(void)
{
    return 1;
}
static void omp_set_num_threads(int threads)
{
    (void)threads;
}
#endif

enum {
    BUCKETS = 64,
    /* more than making a primitive takes: up to 33 kernels of 256 KiB, and what leads to them */
    ROOM_TO_MAKE = 16 << 20,
    ROOM_TO_RUN = 32 << 10 /* more than running it does */
};

struct tuff_product {
    tuff_product *next; /* in its bucket */
    tuff_tile_shape shape;
    dnnl_primitive_t primitive; /* NULL: the loop serves this shape */
    dnnl_memory_desc_t operands[4];
    unsigned users;
    uint64_t used; /* when, by the count of uses */
};

struct tuff_products {
    tuff_mutex *lock;
    dnnl_engine_t engine;
    bool strips;
    tuff_product *buckets[BUCKETS];
    size_t count;
    uint64_t uses, made;
};

static const int arguments[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};

static void destroy_product(tuff_product *product)
{
    if (product->primitive) dnnl_primitive_destroy(product->primitive);
    tuff_free(product);
}

void tuff_products_destroy(tuff_products **products)
{
    tuff_products *p = *products;
    if (!p) return;
    for (int i = 0; i < BUCKETS; i++)
        for (tuff_product *at = p->buckets[i], *next; at; at = next) {
            next = at->next;
            destroy_product(at);
        }
    if (p->engine) dnnl_engine_destroy(p->engine);
    tuff_mutex_destroy(&p->lock);
    tuff_free(p);
    *products = NULL;
}

size_t tuff_products_count(tuff_products *products)
{
    tuff_mutex_lock(products->lock);
    size_t count = products->count;
    tuff_mutex_unlock(products->lock);
    return count;
}

uint64_t tuff_products_made(tuff_products *products)
{
    tuff_mutex_lock(products->lock);
    uint64_t made = products->made;
    tuff_mutex_unlock(products->lock);
    return made;
}

static unsigned kind_of(const tuff_tile_shape *s)
{
    return (unsigned)s->transposed | (unsigned)s->strips << 1 | (unsigned)s->add << 2;
}

static bool same(const tuff_tile_shape *a, const tuff_tile_shape *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && kind_of(a) == kind_of(b);
}

static size_t bucket_of(const tuff_tile_shape *s)
{
    uint64_t h = (uint64_t)s->m;
    h = h * 0x9e3779b97f4a7c15u + (uint64_t)s->n;
    h = h * 0x9e3779b97f4a7c15u + (uint64_t)s->k;
    h = h * 0x9e3779b97f4a7c15u + kind_of(s);
    return h * 0x9e3779b97f4a7c15u >> 58;
}

/* The kernels named "gemm" are those of dnnl_sgemm: no signal handler on the normal stack may run while they
 * do, with AVX-512 and with AVX2 alike. "ref" is slower than our loop. */
static bool acceptable(const_dnnl_primitive_desc_t desc)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success)
        return false;
    return strncmp(name, "ref", 3) != 0 && strncmp(name, "gemm", 4) != 0;
}

static dnnl_status_t describe(tuff_product *product)
{
    const tuff_tile_shape *s = &product->shape;
    const dnnl_dims_t dims[3] = {{s->m, s->k}, {s->k, s->n}, {s->m, s->n}};
    const dnnl_dims_t strides[3] = {{s->k, 1}, {s->n, 1}, {s->n, 1}}, by_columns = {1, s->m};
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < 3 && status == dnnl_success; i++)
        if (i == 1 && s->strips)
            status = dnnl_memory_desc_init_by_tag(&product->operands[i], 2, dims[i], dnnl_f32, dnnl_BA16a64b);
        else
            status = dnnl_memory_desc_init_by_strides(&product->operands[i], 2, dims[i], dnnl_f32,
                                                      i == 0 && s->transposed ? by_columns : strides[i]);
    return status;
}

static dnnl_status_t make_attributes(const tuff_tile_shape *shape, dnnl_primitive_attr_t *out)
{
    dnnl_post_ops_t add = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(out);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (status != dnnl_success || !shape->add) return status;
    status = dnnl_post_ops_create(&add);
    if (status == dnnl_success) status = dnnl_post_ops_append_sum(add, 1);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*out, add);
    if (add) dnnl_post_ops_destroy(add);
    return status;
}

/* Without memory oneDNN writes kernels to address 0, or ends the process: where there is little it is not
 * asked. */
static dnnl_status_t make_primitive(const tuff_products *products, tuff_product *product)
{
    if (!tuff_room_for(ROOM_TO_MAKE)) return dnnl_out_of_memory;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = describe(product);
    const dnnl_memory_desc_t *x = product->operands;
    if (status == dnnl_success) status = dnnl_matmul_desc_init(&matmul, &x[0], &x[1], NULL, &x[2]);
    if (status == dnnl_success) status = make_attributes(&product->shape, &attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &matmul, attributes, products->engine, NULL);
    if (status == dnnl_success && acceptable(desc)) {
        product->operands[3] = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        bool fits = dnnl_memory_desc_get_size(&product->operands[3]) <= TUFF_PRODUCT_SCRATCH;
        if (fits) status = dnnl_primitive_create(&product->primitive, desc);
        if (status != dnnl_success) product->primitive = NULL;
    }
    if (desc) dnnl_primitive_desc_destroy(desc);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* Forgets what nobody uses and what was used longest ago. */
static void make_room(tuff_products *products)
{
    tuff_product **oldest = NULL;
    for (int i = 0; i < BUCKETS; i++)
        for (tuff_product **at = &products->buckets[i]; *at; at = &(*at)->next)
            if ((*at)->users == 0 && (!oldest || (*at)->used < (*oldest)->used)) oldest = at;
    if (!oldest) return;
    tuff_product *gone = *oldest;
    *oldest = gone->next;
    products->count--;
    destroy_product(gone);
}

static tuff_product *find(tuff_products *products, const tuff_tile_shape *shape)
{
    tuff_product **bucket = &products->buckets[bucket_of(shape)], *at = *bucket;
    while (at && !same(&at->shape, shape))
        at = at->next;
    if (at) return at;
    if (products->count >= TUFF_MOST_PRODUCTS) make_room(products);
    at = tuff_alloc(sizeof *at);
    if (!at) return NULL;
    at->shape = *shape;
    if (make_primitive(products, at) == dnnl_out_of_memory) {
        destroy_product(at); /* another time there may be some */
        return NULL;
    }
    at->next = *bucket;
    *bucket = at;
    products->count++;
    products->made++;
    return at;
}

/* Whether strips are served is a property of the machine: found by trying one. */
tuff_products *tuff_products_create(void)
{
    tuff_products *products = tuff_alloc(sizeof *products);
    if (!products) return NULL;
    products->lock = tuff_mutex_create();
    const tuff_product *tried = NULL;
    if (products->lock && tuff_room_for(ROOM_TO_MAKE) &&
        dnnl_engine_create(&products->engine, dnnl_cpu, 0) == dnnl_success)
        tried = find(products, &(tuff_tile_shape){.m = 64, .n = 64, .k = 64, .strips = true});
    if (tried)
        products->strips = tried->primitive != NULL;
    else
        tuff_products_destroy(&products);
    return products;
}

bool tuff_products_strips(const tuff_products *products)
{
    return products && products->strips;
}

static void release(tuff_product_use *use)
{
    for (int i = 0; i < 4; i++)
        if (use->memory[i]) dnnl_memory_destroy(use->memory[i]);
    memset(use->memory, 0, sizeof use->memory);
    if (!use->product) return;
    tuff_mutex_lock(use->products->lock);
    use->product->users--;
    tuff_mutex_unlock(use->products->lock);
    use->product = NULL;
}

/* Makes a shape's product the one in use; false: there is no memory for it. */
static bool switch_to(tuff_product_use *use, const tuff_tile_shape *shape)
{
    if (use->product && same(&use->product->shape, shape)) return true;
    release(use);
    tuff_mutex_lock(use->products->lock);
    tuff_product *product = use->product = find(use->products, shape);
    if (product) {
        product->users++;
        product->used = ++use->products->uses;
    }
    tuff_mutex_unlock(use->products->lock);
    if (!product || !product->primitive) return product != NULL;
    bool made = true;
    for (int i = 0; i < 4 && made; i++) {
        dnnl_memory_t memory = NULL;
        made = dnnl_memory_create(&memory, &product->operands[i], use->products->engine,
                                  i == 3 ? use->scratch : NULL) == dnnl_success;
        use->memory[i] = made ? memory : NULL;
    }
    if (!made) release(use);
    return made;
}

void tuff_product_begin(tuff_product_use *use, tuff_products *products, void *scratch)
{
    dnnl_stream_t stream = NULL;
    *use = (tuff_product_use){.products = products, .scratch = scratch};
    if (!products || !tuff_heap_room_for(ROOM_TO_RUN)) return;
    /* The tiles are the threads' share: within one, oneDNN is to use this thread only. */
    use->threads = omp_get_max_threads();
    if (use->threads != 1) omp_set_num_threads(1);
    if (dnnl_stream_create(&stream, products->engine, dnnl_stream_default_flags) == dnnl_success)
        use->stream = stream;
}

static bool run(tuff_product_use *use, const tuff_tile_shape *shape, const float *a, const float *b, float *c)
{
    if (!use->stream || !switch_to(use, shape) || !use->product->primitive) return false;
    const void *operands[3] = {a, b, c};
    dnnl_exec_arg_t args[4];
    for (int i = 0; i < 4; i++) {
        args[i] = (dnnl_exec_arg_t){arguments[i], use->memory[i]};
        if (i < 3 &&
            dnnl_memory_set_data_handle(use->memory[i], (void *)(uintptr_t)operands[i]) != dnnl_success)
            return false;
    }
    return dnnl_primitive_execute(use->product->primitive, use->stream, 4, args) == dnnl_success;
}

void tuff_product_tile(tuff_product_use *use, const tuff_tile_shape *shape, const float *a, const float *b,
                       float *c)
{
    if (!run(use, shape, a, b, c)) run_plain(shape, a, b, c);
}

void tuff_product_end(tuff_product_use *use)
{
    if (!use->threads) return; /* it was not begun */
    release(use);
    if (use->stream) dnnl_stream_destroy(use->stream);
    if (use->threads != 1) omp_set_num_threads(use->threads);
}

#else

struct tuff_products {
    char none;
};

tuff_products *tuff_products_create(void)
{
    return tuff_alloc(sizeof(tuff_products));
}

void tuff_products_destroy(tuff_products **products)
{
    tuff_free(*products);
    *products = NULL;
}

size_t tuff_products_count(tuff_products *products)
{
    (void)products;
    return 0;
}

uint64_t tuff_products_made(tuff_products *products)
{
    (void)products;
    return 0;
}

bool tuff_products_strips(const tuff_products *products)
{
    (void)products;
    return false;
}

void tuff_product_begin(tuff_product_use *use, tuff_products *products, void *scratch)
{
    (void)scratch;
    use->products = products;
}

void tuff_product_tile(tuff_product_use *use, const tuff_tile_shape *shape, const float *a, const float *b,
                       float *c)
{
    (void)use;
    run_plain(shape, a, b, c);
}

void tuff_product_end(tuff_product_use *use)
{
    (void)use;
}

#endif
