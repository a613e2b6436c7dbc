#!/usr/bin/env bash
# What SLURM does with a script: keep it, start it, say which job it is.
cp "$1" "$JOBS/$$.sh"
bash "$JOBS/$$.sh" > "$JOBS/$$.log" 2>&1 &
echo "Submitted batch job $$"
