# SPDX-License-Identifier: GPL-2.0-only
#
# What is generated from a Linux tree before its code is compiled; sourced by build.

# generate_headers TREE SHIM INCLUDE: a file for each header that `headers` lists
generate_headers() {
  while read -r header provider _; do
    case $header in '' | '#'*) continue ;; esac
    case $provider in
      system) ;;
      tree)
        [ -f "$1/include/$header" ] || continue
        mkdir -p "$(dirname "$3/$header")"
        echo "#include \"$1/include/$header\"" >"$3/$header" ;;
      *)
        [ -f "$2/$provider" ] || { echo "ksrc: headers: there is no shim/$provider" >&2; exit 2; }
        mkdir -p "$(dirname "$3/$header")"
        echo "/* $provider, included already */" >"$3/$header" ;;
    esac
  done <"$2/headers"
}

# definition SOURCE MACRO: the value of a one-line macro
definition() { sed -nE "s/^#define[[:space:]]+$2[[:space:]]+([^[:space:]]+).*/\1/p" "$1" | head -n 1; }

# format_name SOURCE: the kit's name of a generic_pt format: amdv1, amdv1_mock, riscv64
format_name() {
  family=$(definition "$1" PT_FMT)
  variant=$(definition "$1" PT_FMT_VARIANT)
  case $variant in
    '') echo "$family" ;;
    [0-9]*[!0-9]*) echo "${family}_$variant" ;;
    [0-9]*) echo "$family$variant" ;;
    *) echo "${family}_$variant" ;;
  esac
}

# configuration_members TREE KERNEL_NAME: members of struct pt_iommu_NAME_cfg beside `common`, one a line
configuration_members() {
  header=$1/include/linux/generic_pt/iommu.h
  real=$(sed -nE "s/^#define[[:space:]]+pt_iommu_$2_cfg[[:space:]]+(pt_iommu_[a-z0-9_]+_cfg).*/\1/p" "$header")
  awk -v name="${real:-pt_iommu_$2_cfg}" '
    $1 == "struct" && $2 == name && $3 == "{" { inside = 1; next }
    inside && /^}/ { exit }
    inside && /^[ \t]*(unsigned|u8|u16|u32|u64|int|bool|size_t|enum)[ \ta-z0-9_]*[ \t][a-z0-9_]+;/ {
      sub(/;.*/, ""); print $NF
    }
  ' "$header"
}

# feature_list TREE FAMILY: KSRC_FEATURE("name", PT_FEAT_NAME) for the features of every format and of this one
feature_list() {
  awk -v family="$(echo "$2" | tr '[:lower:]' '[:upper:]')" '
    /^[ \t]+PT_FEAT_[A-Z0-9_]+/ {
      feature = $1; sub(/,.*/, "", feature)
      if (feature == "PT_FEAT_FMT_START") { own = 1; next }
      name = feature; sub(/^PT_FEAT_/, "", name)
      if (own && index(name, family "_") != 1) next
      if (own) { name = substr(name, length(family) + 2); sub(/^AMD_/, "", name) }
      printf " \\\n\tKSRC_FEATURE(\"%s\", %s)", tolower(name), feature
    }
  ' "$1/include/linux/generic_pt/common.h"
}

# generate_format SOURCE TREE WORK: format.h and the source with every feature permitted; sets format
generate_format() {
  format=$(format_name "$1")
  family=$(definition "$1" PT_FMT)
  variant=$(definition "$1" PT_FMT_VARIANT)
  level= fields=
  for member in $(configuration_members "$2" "$family${variant:+_$variant}"); do
    case $member in
      *level*) level=$member ;;
      *) fields="$fields KSRC_FIELD($member)" ;;
    esac
  done
  {
    echo "#define KSRC_FORMAT_NAME \"$format\""
    echo "#define KSRC_FEATURES$(feature_list "$2" "$family")"
    echo "#define KSRC_FIELDS $fields"
    [ -z "$level" ] || echo "#define KSRC_LEVEL_FIELD $level"
  } >"$3/format.h"
  {
    sed -E 's/PT_SUPPORTED_FEATURES/KSRC_ORIGINAL_FEATURES/; s/PT_FORCE_ENABLED_FEATURES/KSRC_FORCED_FEATURES/
      /^[[:space:]]*#[[:space:]]*include/d' "$1"
    # What a kernel with debugging permits.
    cat <<'END'
#define KSRC_KEPT(features, condition) ((condition) ? 0 : (features))
#define PT_SUPPORTED_FEATURES \
	(UINT_MAX & \
	 ~KSRC_KEPT(BIT(PT_FEAT_DMA_INCOHERENT), (KSRC_ORIGINAL_FEATURES) & BIT(PT_FEAT_DMA_INCOHERENT)) & \
	 ~KSRC_KEPT(BIT(PT_FEAT_SIGN_EXTEND), (KSRC_ORIGINAL_FEATURES) & BIT(PT_FEAT_SIGN_EXTEND)) & \
	 ~KSRC_KEPT(BIT(PT_FEAT_DYNAMIC_TOP) | BIT(PT_FEAT_FULL_VA), \
		!((KSRC_ORIGINAL_FEATURES) & BIT(PT_FEAT_SIGN_EXTEND))))
#include "iommu_template.h"
END
  } >"$3/permissive-source.h"
}
