# The installer makes the first half of the mirror bootable; the machine must also start from each other half.
for slice in $SLICES; do
    installgrub -fm "$ROOT/boot/grub/stage1" "$ROOT/boot/grub/stage2" "/dev/rdsk/$slice" || fail "$slice got no boot blocks"
done
