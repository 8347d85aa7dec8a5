//! What a member of the federation under test answers to hosts and agents.

use super::*;

#[tonic::async_trait]
impl JoinService for Member {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let join = Join::try_from(request.get_ref())?;
        if join.token != Digest::of(&SECRET) {
            return Err(ApiError::new(ErrorCode::TokenUnknown, "").into());
        }
        self.shared.change(|log| {
            log.node_key = Some(Csr::verify(&join.csr).unwrap().spki_sha256());
            log.receipt_key = Some(join.receipt_key);
        });
        Ok(Response::new(self.enrol(&join.node, &join.csr)))
    }
}

#[tonic::async_trait]
impl AgentService for Member {
    type AttachStream = ReceiverStream<Result<ControllerMessage, Status>>;

    async fn open_session(
        &self,
        request: Request<OpenSessionRequest>,
    ) -> Result<Response<OpenSessionResponse>, Status> {
        let open = OpenSession::try_from(request.get_ref())?;
        self.shared.change(|log| log.told.sessions.push(open));
        Ok(Response::new(OpenSessionResponse { revision: 1 }))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (out, stream) = mpsc::channel(16);
        self.tasks.spawn(
            TaskKind::Ordinary,
            "attached",
            self.clone().serve(request.into_inner(), out),
        );
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let report = Report::try_from(request.get_ref())?;
        self.shared.change(|log| log.told.phases.extend(report.phases));
        Ok(Response::new(ReportResponse { revision: 1 }))
    }

    async fn report_fitness(
        &self,
        _request: Request<ReportFitnessRequest>,
    ) -> Result<Response<ReportFitnessResponse>, Status> {
        Ok(Response::new(ReportFitnessResponse { revision: 1 }))
    }

    async fn adopt(
        &self,
        _request: Request<AdoptRequest>,
    ) -> Result<Response<AdoptResponse>, Status> {
        Err(Status::unimplemented("this federation has one incarnation"))
    }

    async fn refuse(
        &self,
        request: Request<RefuseRequest>,
    ) -> Result<Response<RefuseResponse>, Status> {
        let receipt = Receipt(request.into_inner().receipt.to_vec());
        self.shared.change(|log| {
            let refusal = receipt.verify(&log.receipt_key.unwrap()).unwrap();
            log.told.refusals.push(refusal);
        });
        Ok(Response::new(RefuseResponse { revision: 1 }))
    }

    async fn fetch_payload(
        &self,
        request: Request<FetchPayloadRequest>,
    ) -> Result<Response<FetchPayloadResponse>, Status> {
        let fetch = FetchPayload::try_from(request.get_ref())?;
        let (mut payload, mut submission) = self.shared.log().fetched[&fetch.placement].clone();
        // The first member lies, about the one or the other, so that the agent has to ask the second.
        if self.number == 0 {
            let odd = fetch.placement.epoch.revision.0 % 2 == 1;
            let lie = if odd { &mut payload } else { &mut submission };
            *lie = b"not what was asked for".to_vec();
        }
        Ok(Response::new(FetchPayloadResponse {
            payload: payload.into(),
            submission: submission.into(),
        }))
    }

    async fn list_landmarks(
        &self,
        _request: Request<ListLandmarksRequest>,
    ) -> Result<Response<ListLandmarksResponse>, Status> {
        Ok(Response::new(ListLandmarksResponse::default()))
    }

    async fn submit_fix(
        &self,
        _request: Request<SubmitFixRequest>,
    ) -> Result<Response<SubmitFixResponse>, Status> {
        Err(Status::unimplemented("this federation has no landmarks"))
    }

    async fn fetch_site_keys(
        &self,
        _request: Request<FetchSiteKeysRequest>,
    ) -> Result<Response<FetchSiteKeysResponse>, Status> {
        Err(Status::unimplemented("its sites have no keys"))
    }

    async fn fetch_trust(
        &self,
        _request: Request<FetchTrustRequest>,
    ) -> Result<Response<FetchTrustResponse>, Status> {
        Err(Status::unimplemented("members of this federation never change"))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<JoinResponse>, Status> {
        if !self.shared.renews.load(Ordering::Relaxed) {
            return Err(Status::unavailable("the issuer's key is not at hand"));
        }
        let node = "ishikari-1/n-01".parse().unwrap();
        self.shared.change(|log| log.told.renewals += 1);
        Ok(Response::new(self.enrol(&node, &request.get_ref().csr)))
    }
}
