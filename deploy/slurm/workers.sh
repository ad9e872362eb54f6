#!/bin/bash
# An array of workers of one study, whose sweep was started elsewhere (docs/howto/slurm.md):
#   sbatch --array=1-8 deploy/slurm/workers.sh study=cnn storage=journal:PATH/studies.log tracking.uri=http://HOST:5000
#SBATCH --job-name=flowersweep
#SBATCH --array=1-8
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --output=flowersweep-%A_%a.log
#SBATCH --open-mode=append
# Two minutes before the time is up, to this script only; a job that is cancelled gets SIGTERM instead.
#SBATCH --signal=B:USR1@120
# After the loss of a node and after preemption, too.
#SBATCH --requeue
set -u

python -m flowersweep join "$@" &
worker=$!

requeue=
trap 'requeue=yes; kill -TERM "$worker"' USR1
# All processes of the job have got this one, so it is not passed on: a second signal would end the worker at once.
trap : TERM

wait "$worker"
status=$?
# A signal ends `wait`, but not the worker, which gives its trial back first.
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  status=$?
done

if [ -n "$requeue" ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
