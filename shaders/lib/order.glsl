/* The order of floats, and rows in parts. */

/* Larger floats have larger keys, both zeros the same one, and every NaN the largest. None is 0. As tuff_order_key in
 * ops/top_k.h; by integers, for floats may lose denormals. */
uint tuff_order_key(uint bits)
{
    uint magnitude = bits & 0x7fffffffu;
    uint key = (bits >> 31) != 0 ? 0x80000000u - magnitude : 0x80000000u + magnitude;
    return magnitude > 0x7f800000u ? ~0u : key;
}

/* Part `part` of `parts` nearly equal ones: its first element, and how many it has. */
uvec2 tuff_order_part(uint width, uint parts, uint part)
{
    uint least = width / parts, more = width % parts;
    return uvec2(part * least + min(part, more), least + (part < more ? 1 : 0));
}
