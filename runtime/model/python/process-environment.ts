/**
 * What a process that runs somebody's Python code needs of the environment. Everything else stays here: credentials, tokens
 * and PYTHONPATH are no business of a network's source.
 */
const HANDED_ON =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|XDG_CACHE_HOME|CUDA_[A-Z_]+|NVIDIA_[A-Z_]+|OMP_[A-Z_]+|MKL_[A-Z_]+|OPENBLAS_[A-Z_]+|[A-Z0-9_]+_NUM_THREADS)$/;

/** Nothing is fetched, nothing is reported, and no library says more than that something is wrong. */
const ALWAYS = {
  HF_HUB_OFFLINE: '1',
  TRANSFORMERS_OFFLINE: '1',
  HF_HUB_DISABLE_TELEMETRY: '1',
  ORT_DISABLE_TELEMETRY: '1',
  TF_CPP_MIN_LOG_LEVEL: '3',
  KERAS_BACKEND: 'tensorflow',
  WANDB_MODE: 'disabled',
  DO_NOT_TRACK: '1',
};

/** The environment of a tool's process. */
export function pythonProcessEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(environment).filter(([name]) => HANDED_ON.test(name))), ...ALWAYS };
}

/** The environment in which pip installs: the user's, who says there which index to use; without what leads Python elsewhere. */
export function pipEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) => !/^PYTHON|^(PIP_(TARGET|PREFIX|USER|ROOT)|VIRTUAL_ENV)$/.test(name),
  );
  return { ...Object.fromEntries(kept), PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_INPUT: '1' };
}
