// Milliseconds of InferenceSession.create in a fresh process: node create.mjs MODEL MAPPED
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession } = await import('onnxruntime-node');
const [model, mapped] = process.argv.slice(2);
const session = mapped === '1' ? { disable_prepacking: '1' } : {};
const start = performance.now();
await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1, extra: { session } });
console.log(performance.now() - start);
