// The two lists that run through the sessions.
extension SessionTable {
  private func ownerList(_ session: Session) -> UnsafeMutablePointer<List> {
    owned + (2 * Int(session.owner) + (session.timer.isExpendable ? 0 : 1))
  }

  func appendToTimer(_ index: UInt32) {
    let list = timers + Int(sessions[Int(index)].timer.rawValue)
    sessions[Int(index)].timerOlder = list.pointee.newest
    sessions[Int(index)].timerNewer = 0
    if list.pointee.newest == 0 {
      list.pointee.oldest = index
    } else {
      sessions[Int(list.pointee.newest)].timerNewer = index
    }
    list.pointee.newest = index
  }

  func removeFromTimer(_ index: UInt32) {
    let list = timers + Int(sessions[Int(index)].timer.rawValue)
    let (older, newer) = (sessions[Int(index)].timerOlder, sessions[Int(index)].timerNewer)
    if older == 0 { list.pointee.oldest = newer } else { sessions[Int(older)].timerNewer = newer }
    if newer == 0 { list.pointee.newest = older } else { sessions[Int(newer)].timerOlder = older }
  }

  func appendToOwner(_ index: UInt32) {
    let list = ownerList(sessions[Int(index)])
    sessions[Int(index)].ownerOlder = list.pointee.newest
    sessions[Int(index)].ownerNewer = 0
    if list.pointee.newest == 0 {
      list.pointee.oldest = index
    } else {
      sessions[Int(list.pointee.newest)].ownerNewer = index
    }
    list.pointee.newest = index
  }

  func removeFromOwner(_ index: UInt32) {
    let list = ownerList(sessions[Int(index)])
    let (older, newer) = (sessions[Int(index)].ownerOlder, sessions[Int(index)].ownerNewer)
    if older == 0 { list.pointee.oldest = newer } else { sessions[Int(older)].ownerNewer = newer }
    if newer == 0 { list.pointee.newest = older } else { sessions[Int(newer)].ownerOlder = older }
  }
}
