import type * as grpc from '@grpc/grpc-js';
import type { ServerSettings } from '../../../runtime/spec/environment';
import { plainRepository } from '../harness/model-repository';
import { request, startServer, type RunningServer } from '../harness/running-server';
import { connectInference, type Client } from './grpc-client';

export async function start(
  models: Readonly<Record<string, Uint8Array>>,
  settings: Partial<ServerSettings> = {},
): Promise<{ readonly server: RunningServer; readonly client: Client }> {
  const server = await startServer({ modelRepository: plainRepository(models), ...settings });
  return { server, client: connectInference(server.grpcPort) };
}

/** The error that a call ends with. */
export async function refusal(answer: Promise<unknown>): Promise<grpc.ServiceError> {
  return answer.then(
    () => Promise.reject(new Error('was answered')),
    (error: grpc.ServiceError) => error,
  );
}

/** Everything that a stream answers, once it has ended well. */
export function answersOf(stream: grpc.ClientReadableStream<any>): Promise<any[]> {
  return new Promise((resolve, reject) => {
    const answers: any[] = [];
    stream.on('data', (answer) => answers.push(answer));
    stream.on('error', reject);
    stream.on('end', () => resolve(answers));
  });
}

/** A request to `slowModel`. */
export function slow(iterations: number): object {
  return {
    model_name: 'slow',
    inputs: [{ name: 'iterations', datatype: 'INT64', shape: [1, 1], contents: { int64_contents: [iterations] } }],
  };
}

/** The value of one row of slipway_requests_total. */
export async function counted(server: RunningServer, outcome: string): Promise<number> {
  const { text } = await request(`${server.metricsUrl}/metrics`);
  const row = new RegExp(`^slipway_requests_total\\{.*protocol="oip-grpc",outcome="${outcome}"\\} (\\d+)$`, 'm');
  return Number(row.exec(text)?.[1] ?? 0);
}
