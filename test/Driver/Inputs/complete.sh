# complete.sh SCRIPT: what bash would offer for some command lines. bash hands --a=b over as three words.
source "$1"
folder=$(mktemp -d) && cd "$folder" && touch "net work.onnx" data.npz
compopt() { :; }
offer() {
  COMP_WORDS=(nibble-train "$@") COMP_CWORD=$# COMPREPLY=()
  _nibble_train
  echo "[$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' ')]"
}
offer --rec
offer --recipe = i
offer --recipe i
offer --optimizer =
offer --batch-size = 1
offer ''
offer --data ''
offer --nes
rm -r "$folder"
