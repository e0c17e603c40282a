/* Segments of rows, four words each: {q_begin, q_len, kv_begin, kv_len}. */

/* The first row that segment s has of `rows` rows, and how many: those that there are not are left out. As
 * tuff_segment_range_of in ops/segment.h. */
uvec2 tuff_segment_rows(I32 segments, uint s, uint rows)
{
    int begin = segments.v[4 * s], n = segments.v[4 * s + 1];
    if (n <= 0 || begin >= int(rows)) return uvec2(0);
    int first = max(begin, 0);
    int end = begin < 0 ? min(begin + n, int(rows)) : begin + min(n, int(rows) - begin); /* no sum overflows */
    return end > first ? uvec2(first, end - first) : uvec2(0);
}

/* Sum of the weights of n rows: each 1, or 1, 2, 3, ... n. */
float tuff_segment_weights(bool by_position, uint n)
{
    return by_position ? 0.5 * float(n) * (float(n) + 1.0) : float(n);
}
