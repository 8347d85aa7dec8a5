//! Watches. What they do is in [`crate::watch`].

use crate::call::Call;
use crate::core::Core;
use crate::watch::seat::Seats;
use crate::watch::{Down, Watch};
use sekisho_proto::v1::{self, event_service_server::EventService};
use sekisho_transport::identity::Peer;
use sekisho_transport::task::TaskKind;
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct EventApi {
    core: Arc<Core>,
    seats: Seats,
}

impl EventApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, seats: Seats::default() }
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    type WatchStream = ReceiverStream<Down>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request)?;
        let connection = request.extensions().get::<Peer>().map(|peer| peer.exporter);
        let seat = self.seats.take(connection.unwrap_or_default(), call.principal())?;
        let ask = request.into_inner();
        let (watch, queue) = Watch::begin(Arc::clone(&self.core), call, &ask).await?;
        self.core.tasks.spawn(TaskKind::Ordinary, "watch", watch.run(seat));
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}
