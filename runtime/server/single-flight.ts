import type { Tensor } from '../onnx/tensor-encoding';
import { Cancellation } from './cancellation';
import { ServerError } from './errors';
import type { InferCall } from './infer-call';

type Run = (call: InferCall) => Promise<readonly Tensor[]>;

interface Passenger {
  readonly call: InferCall;
  resolve(outputs: readonly Tensor[]): void;
  reject(error: Error): void;
}

interface Flight {
  readonly key: string;
  /** Who waits, the one whose call runs among them unless it was cancelled. */
  readonly passengers: Set<Passenger>;
  /** Of the run, not of any one request. */
  cancellation: Cancellation;
}

/**
 * Lets identical requests that are in flight together share one run. It goes on for as long as anybody waits; when it fails
 * for a reason of the request that it ran for, the next of them runs on its own account.
 */
export class SingleFlight {
  private readonly flights = new Map<string, Flight>();

  constructor(private readonly startRun: Run) {}

  /** @param key The same for requests that have the same answer. */
  run(key: string, call: InferCall): Promise<readonly Tensor[]> {
    const { cancellation } = call;
    if (cancellation.reason !== undefined) return Promise.reject(cancellation.reason);
    return new Promise((resolve, reject) => {
      const passenger: Passenger = { call, resolve, reject };
      const joined = this.flights.get(key);
      const flight = joined ?? { key, passengers: new Set<Passenger>(), cancellation: new Cancellation() };
      flight.passengers.add(passenger);
      cancellation.onCancel((reason) => this.leave(flight, passenger, reason));
      if (joined !== undefined) return;
      this.flights.set(key, flight);
      this.start(flight, passenger);
    });
  }

  private start(flight: Flight, passenger: Passenger): void {
    flight.cancellation = new Cancellation();
    this.startRun({ ...passenger.call, cancellation: flight.cancellation }).then(
      (outputs) => {
        this.end(flight);
        for (const one of flight.passengers) one.resolve(outputs);
      },
      (error: Error) => this.failed(flight, passenger, error),
    );
  }

  private failed(flight: Flight, passenger: Passenger, error: Error): void {
    // The values are everybody's: nobody's run would end otherwise.
    const isEverybodys = error instanceof ServerError && error.code === 'RUN_REFUSED';
    for (const one of flight.passengers) {
      if (one !== passenger && !isEverybodys) continue;
      flight.passengers.delete(one);
      one.reject(error);
    }
    const [next] = flight.passengers;
    if (next === undefined) this.end(flight);
    else this.start(flight, next);
  }

  private leave(flight: Flight, passenger: Passenger, reason: ServerError): void {
    if (!flight.passengers.delete(passenger)) return;
    passenger.reject(reason);
    if (flight.passengers.size > 0) return;
    this.end(flight);
    flight.cancellation.cancel(reason);
  }

  private end(flight: Flight): void {
    if (this.flights.get(flight.key) === flight) this.flights.delete(flight.key);
  }
}
