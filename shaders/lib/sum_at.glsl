/* Positions of an index over the kept and over the summed axes of a sum. The constants one_kept and one_summed tell
 * whether there is but one of them: software drivers run every side of a branch. */

uint kept_at(uint index)
{
    if (one_kept) return index * a.kept_stride[3];
    uint at = 0;
    for (int axis = 3; axis >= 0; axis--) {
        at += index % a.kept[axis] * a.kept_stride[axis];
        index /= a.kept[axis];
    }
    return at;
}

uint summed_at(uint index)
{
    if (one_summed) return index * a.summed_stride[3];
    uint at = 0;
    for (int axis = 3; axis >= 0; axis--) {
        at += index % a.summed[axis] * a.summed_stride[axis];
        index /= a.summed[axis];
    }
    return at;
}
