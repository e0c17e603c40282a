# Judges what a compiler made of pipelines (scripts/gpu-compile.sh), and writes the recorded table and the page.
#
#   awk -v cards="navi31 ..." -v recorded=OLD -v table=NEW -v page=PAGE [-v anew=1] -f judge.awk PIPELINES STATISTICS
#
# PIPELINES: module, constants, what runs it. STATISTICS: card, module, constants, name=value ...; of each card a line before
# that tells the device. The recorded table has a line "card pipeline waves vgprs shared scratch spills", and in it is what falls
# short and is known. With `anew` nothing is compared.

# What a pipeline of a card must come to at least: waves that a SIMD holds at once.
function least_waves(card, pipeline)
{
    if (pipeline ~ /^attention[a-z_]*:256/) return 1
    if (card !~ /^(vega|polaris)/) return 4
    return pipeline ~ /^(matmul|attention|grouped)/ ? 2 : 3
}

# What is wrong, "" for nothing.
function fault(card, pipeline, waves, shared, scratch, spills,    text)
{
    if (spills > 0) text = text ", " spills " spilled registers"
    if (scratch > 0) text = text ", " scratch " bytes of scratch memory"
    if (shared > 32768) text = text ", " shared " bytes of shared memory, of at most 32768"
    if (waves < least_waves(card, pipeline)) text = text ", " waves " of at least " least_waves(card, pipeline) " waves per SIMD"
    return substr(text, 3)
}

function complain(text) { print "gpu-compile: " text; bad = 1 }

# The words of a list, sorted: few.
function sorted(list, into,    n, i, j, word)
{
    n = split(list, into, " ")
    for (i = 2; i <= n; i++) {
        word = into[i]
        for (j = i - 1; j > 0 && into[j] > word; j--) into[j + 1] = into[j]
        into[j + 1] = word
    }
    return n
}

# "gpt2-64-full,llama-64-lora" as "full, lora; gpt2, llama; 64".
function used_by(users,    n, i, list, part, models, sizes, tasks)
{
    n = split(users, list, ",")
    for (i = 1; i <= n; i++) {
        split(list[i], part, "-")
        if (!index(" " models " ", " " part[1] " ")) models = models " " part[1]
        if (!index(" " sizes " ", " " part[2] " ")) sizes = sizes " " part[2]
        if (!index(" " tasks " ", " " part[3] " ")) tasks = tasks " " part[3]
    }
    return substr(tasks, 2) "; " substr(models, 2) "; " substr(sizes, 2)
}

BEGIN {
    n_cards = split(cards, card_at, " ")
    while (!anew && (getline line < recorded) > 0) {
        if (line ~ /^#/ || split(line, field, " ") != 7) continue
        key = field[1] " " field[2]
        known[key] = 1
        old_waves[key] = field[3] + 0; old_shared[key] = field[5] + 0
        old_scratch[key] = field[6] + 0; old_spills[key] = field[7] + 0
    }
}

FNR == NR {
    pipelines[++n_pipelines] = $1 ($2 == "-" ? "" : ":" $2)
    users[pipelines[n_pipelines]] = $3
    next
}

$2 == "device" {
    sub(/.*driver=/, "")
    driver = $0
    next
}

{
    pipeline = $2 ($3 == "-" ? "" : ":" $3)
    key = $1 " " pipeline
    for (i = 4; i <= NF; i++) {
        at = index($i, "=")
        value[substr($i, 1, at - 1)] = substr($i, at + 1) + 0
    }
    seen[key] = 1
    waves[key] = value["Subgroups_per_SIMD"]; vgprs[key] = value["VGPRs"]; shared[key] = value["LDS_size"]
    scratch[key] = value["Scratch_size"]; spills[key] = value["Spilled_VGPRs"] + value["Spilled_SGPRs"]
    for (name in value) delete value[name]
    if (waves[key] == 0 || vgprs[key] == 0) complain(key ": the driver tells no waves or registers")
    why = fault($1, pipeline, waves[key], shared[key], scratch[key], spills[key])
    if (why != "") faults[key] = why
    if (anew) next
    if (!(key in known)) {
        complain(key " is new" (why != "" ? ", and has " why : ": see --record"))
        next
    }
    if (waves[key] < old_waves[key]) complain(key " has " waves[key] " waves per SIMD, recorded are " old_waves[key])
    if (spills[key] > old_spills[key]) complain(key " spills " spills[key] " registers, recorded are " old_spills[key])
    if (scratch[key] > old_scratch[key]) complain(key " takes " scratch[key] " bytes of scratch memory, recorded are " old_scratch[key])
    if (shared[key] > 32768 && shared[key] > old_shared[key])
        complain(key " takes " shared[key] " bytes of shared memory, recorded are " old_shared[key])
}

END {
    if (n_pipelines == 0) complain("no pipelines")
    if (!anew) for (key in known) if (!(key in seen)) complain(key " is recorded, and no plan runs it: see --record")
    print "# What scripts/gpu-compile.sh found, by its --record, with " driver ": card, pipeline, waves per SIMD, vector registers," > table
    print "# bytes of shared memory, of scratch memory, spilled registers." > table
    all = ""
    for (p = 1; p <= n_pipelines; p++) all = all " " pipelines[p]
    n = sorted(all, ordered)
    print "# Kernels on cards that are not there\n" > page
    print "Made by `scripts/gpu-compile.sh --record`, never by hand, with the compiler of AMD's open driver: " driver "." > page
    print "The pipelines are those that real plans run: training (full, lora) and generating with GPT-2's and Llama's layers at heads of" > page
    print "64, 80, 96, 128 and 256, and embedding with BERT's at 32 and 64 (`tests/backend/real_plans_test.c`). Behind a kernel's name are its" > page
    print "specialization constants. A cell has the waves that a SIMD holds at once and the vector registers of one; spills and scratch memory" > page
    print "where there are any. Asked are no spill, no scratch, at most 32,768 bytes of shared memory; at least 4 waves on RDNA; on GCN (vega10," > page
    print "polaris10) 2 for products and attention and 3 for the rest; heads of 256 may have fewer. Speed cannot be seen this way.\n" > page
    line = "| kernel | run by | shared |"; rule = "|---|---|---:|"
    for (c = 1; c <= n_cards; c++) { line = line " " card_at[c] " |"; rule = rule "---:|" }
    print line "\n" rule > page
    for (p = 1; p <= n; p++) {
        pipeline = ordered[p]
        most = 0
        cells = ""
        for (c = 1; c <= n_cards; c++) {
            key = card_at[c] " " pipeline
            if (!(key in seen)) { complain(key ": the driver made nothing of it"); continue }
            print key, waves[key], vgprs[key], shared[key], scratch[key], spills[key] > table
            if (shared[key] > most) most = shared[key]
            cell = waves[key] " / " vgprs[key]
            if (scratch[key]) cell = cell ", scratch " scratch[key]
            if (spills[key]) cell = cell ", spills " spills[key]
            cells = cells " " (key in faults ? "**" cell "**" : cell) " |"
            if (key in faults) on[faults[key]] = on[faults[key]] (on[faults[key]] == "" ? "" : ", ") card_at[c]
        }
        for (why in on) {
            short = short "- `" pipeline "` on " on[why] ": " why "\n"
            delete on[why]
        }
        print "| `" pipeline "` | " used_by(users[pipeline]) " | " most " |" cells > page
    }
    print "\n## What falls short\n" > page
    printf "%s", short == "" ? "Nothing.\n" : short > page
    n_faults = 0
    for (key in faults) n_faults++
    print "gpu-compile: " n_pipelines " pipelines on " n_cards " cards with " driver "; " n_faults " fall short of what is asked" \
          (anew ? "" : bad ? "" : ", all of them recorded")
    exit bad
}
