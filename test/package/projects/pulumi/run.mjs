// Runs the program in a folder with the engine that the package brings, and prints what it registered. A second
// argument holds further options, as JSON.
import { assertSucceeded, runPulumiProgram } from 'slipway/testing';

const recording = assertSucceeded(
  await runPulumiProgram({
    directory: process.argv[2],
    ...JSON.parse(process.argv[3] ?? '{}'),
    onInvoke: ({ token }) => (token === 'aws:index/getPartition:getPartition' ? { partition: 'aws' } : undefined),
  }),
);
console.log(
  JSON.stringify({ types: recording.resources.map((resource) => resource.type), outputs: recording.stackOutputs }),
);
